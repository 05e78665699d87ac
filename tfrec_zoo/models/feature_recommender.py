"""What models of users and items with features share: two towers and rankers.

A user and an item are each encoded by themselves, then matched:

    features of the user -> encode_users --+
                                           +-> match -> logit
    features of the item -> encode_items --+

In two towers almost all of the work is in the encoders, and an item's encoding can be kept for all users; a ranker
encodes no more than embeddings and works in `match`. Training, evaluation and export don't care which of the two it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.layers.field_embeddings import FieldEmbeddings
from tfrec_zoo.losses.pointwise import log_loss
from tfrec_zoo.models.recommender import SCORES_CANDIDATES, Recommender
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, HISTORY, FeatureColumn, FeatureColumns, to_inputs


class FeatureConfig(Config):
    """What a model of features reads.

    Attributes:
        dim: Width of a field's embedding.
        max_length: Items of a history.
        unknown_rate: Share of the ids that training sees as unknown, so that there is something to say of users and
            items that come later.
        user_features, item_features: Names in the view `interactions`; None: all that are inputs.
    """

    dim: int = pydantic.Field(32, ge=1)
    max_length: int = pydantic.Field(50, ge=1)
    unknown_rate: float = pydantic.Field(0.0, ge=0, lt=1)
    user_features: tuple[str, ...] | None = None
    item_features: tuple[str, ...] | None = None


class FeatureRecommender(Recommender):
    """A model over the features of users and items, trained on labels by the log-loss.

    Subclasses make their layers in `build_network` and say `encode_users`, `encode_items` and `match`.

    Args:
        catalog_size: Number of items.
        columns: The features that it reads, or their `to_config`.
        config: Values of the subclass's configuration, a `FeatureConfig`.

    Call args:
        inputs: The columns of user and item by name, as `to_inputs` makes them; (batch, ...) each.

    Returns:
        float32 (batch,): logits of the label.

    Raises:
        ConfigError: An unknown key or a value out of its range.
    """

    view = "interactions"
    capabilities = frozenset({SCORES_CANDIDATES})
    config: FeatureConfig

    def __init__(
        self,
        catalog_size: int,
        columns: FeatureColumns | Mapping[str, Sequence[Mapping[str, Any]]],
        config: FeatureConfig | Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(catalog_size, config, **kwargs)
        self.columns = columns if isinstance(columns, FeatureColumns) else FeatureColumns.from_config(columns)
        self.build_network()
        self.built = True

    @classmethod
    def from_spec(
        cls, spec: DatasetSpec, config: Config | Mapping[str, Any] | None = None, dtype: str | None = None
    ) -> Recommender:
        values = config if isinstance(config, Config) else cls.config_class.parse(config or {})
        assert isinstance(values, FeatureConfig)
        columns = FeatureColumns.of_dataset(spec, values.user_features, values.item_features)
        return cls(spec.catalog_size, columns, values, dtype=dtype)

    @classmethod
    def of_size(cls, catalog_size: int) -> Recommender:
        """As of every model; over ids and histories alone, of as many users as items."""
        user = (
            FeatureColumn("user_id", CATEGORY, "user", catalog_size),
            FeatureColumn("history", HISTORY, "item", catalog_size),
        )
        return cls(catalog_size, FeatureColumns(user, (FeatureColumn("item", CATEGORY, "item", catalog_size),)), {})

    @property
    def history_length(self) -> int:
        return self.config.max_length

    @property
    def retrieves(self) -> bool:
        """Whether it learns to find items among all, so that a ranking judges it; otherwise it learns labels."""
        return False

    @property
    def features(self) -> list[str]:
        """Names in the view `interactions` of what it reads."""
        return self.columns.names

    def build_network(self) -> None:
        """Makes the layers, built."""
        raise NotImplementedError

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> Any:
        """Encodes users: the user's columns (batch, ...) -> nested float (batch, ...)."""
        raise NotImplementedError

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> Any:
        """Encodes items, whoever the user is: the item's columns (batch, ...) -> nested float (batch, ...)."""
        raise NotImplementedError

    def match(self, users: Any, items: Any, training: bool | None = None) -> tf.Tensor:
        """Scores candidates for users.

        Args:
            users: What `encode_users` gave, (batch, ...).
            items: What `encode_items` gave, for several items a user: (batch, candidates, ...).
            training: Whether this is a training step.

        Returns:
            float32 (batch, candidates): logits.
        """
        raise NotImplementedError

    def match_all(self, users: Any, items: tf.Tensor) -> tf.Tensor:
        """Scores the same items for all users; of models that encode items as vectors.

        Args:
            users: What `encode_users` gave, (batch, ...).
            items: float32 (items, dim), of `encode_items`.

        Returns:
            float32 (batch, items): logits.
        """
        raise NotImplementedError

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        return self.inputs(batch), batch["label"], tf.ones_like(batch["label"])

    def inputs(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The columns of both sides for a batch of the view."""
        return to_inputs(batch, (*self.columns.user, *self.columns.item), self.config.max_length)

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Logits of the labels of a batch of the view: float32 (batch,)."""
        return self(self.inputs(batch), training=False)

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        return log_loss(self(inputs, training=training), targets)

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        items = tf.nest.map_structure(lambda values: values[:, None], self.encode_items(inputs, training))
        return self.match(self.encode_users(inputs, training), items, training)[:, 0]

    def get_config(self) -> dict[str, Any]:
        return {
            "catalog_size": self.catalog_size,
            "columns": self.columns.to_config(),
            "config": self.config.to_dict(),
        }

    def _embeddings(self, columns: Sequence[FeatureColumn], dim: int | None = None) -> FieldEmbeddings:
        """A built layer that embeds columns."""
        fields = {column.name: column.values for column in columns}
        layer = FieldEmbeddings(fields, dim or self.config.dim, self.config.unknown_rate, dtype=self.dtype_policy)
        layer.build()
        return layer


def flat(fields: tf.Tensor) -> tf.Tensor:
    """Joins the vectors of fields: float (..., fields, dim) -> (..., fields * dim)."""
    return keras.ops.reshape(fields, (*keras.ops.shape(fields)[:-2], fields.shape[-2] * fields.shape[-1]))


def beside(users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Puts every candidate beside its user.

    Args:
        users: float (batch, n).
        items: float (batch, candidates, m).

    Returns:
        float (batch, candidates, n + m).
    """
    shape = tf.shape(items)
    return tf.concat([tf.broadcast_to(users[:, None], (shape[0], shape[1], users.shape[-1])), items], axis=-1)

"""DIN: a history seen from the candidate.

Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018.

    history, candidate -> one table of items -> local activation unit (4.3) -> interest --+
    other features of the user -> embeddings ---------------------------------------------+-> MLP, Dice (5.3) -> logit
    features of the item, the candidate's vector among them ------------------------------+
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.layers.dice import Dice
from tfrec_zoo.layers.item_embedding import ItemEmbedding
from tfrec_zoo.layers.local_activation import LocalActivationUnit
from tfrec_zoo.models.feature_recommender import FeatureConfig, FeatureRecommender, beside, flat
from tfrec_zoo.models.tower_config import Share, Units
from tfrec_zoo.preprocessing.feature_columns import HISTORY


class DINConfig(FeatureConfig):
    """The activation unit and the network after it.

    Attributes:
        attention_units: Widths of the activation unit's hidden layers.
        units: Widths of the network's layers.
        dropout: Share of dropped activations.
    """

    attention_units: Units = (36,)
    units: Units = (200, 80)
    dropout: Share = 0.3


@keras.saving.register_keras_serializable("tfrec_zoo")
class DIN(FeatureRecommender):
    """DIN over the features of users and items; the user's history and the item are among them.

    See `FeatureRecommender` for arguments, call and errors; the configuration is a `DINConfig`.

    Raises:
        ConfigError: The features lack the history or the item.
    """

    name_in_zoo = "din"
    config_class = DINConfig
    config: DINConfig

    def build_network(self) -> None:
        c = self.config
        others = [column for column in self.columns.user if column.kind != HISTORY]
        features = [column for column in self.columns.item if column.name != "item"]
        if len(others) == len(self.columns.user) or len(features) == len(self.columns.item):
            raise ConfigError(
                "din reads the history beside the item: network.user_features needs 'history', and "
                "network.item_features 'item'."
            )
        self.items = ItemEmbedding(self.catalog_size, c.dim, 0.0, dtype=self.dtype_policy)
        self.items.build((None, None))
        self.user_fields = self._embeddings(others) if others else None
        self.item_fields = self._embeddings(features) if features else None
        self.attention = LocalActivationUnit(c.attention_units, dtype=self.dtype_policy)
        self.attention.build((None, None, c.dim))
        width = (len(others) + 1 + len(features) + 1) * c.dim
        self._layers_of_network: list[tuple[Any, Any]] = []
        for units in c.units:
            dense, dice = keras.layers.Dense(units, dtype=self.dtype_policy), Dice(dtype=self.dtype_policy)
            dense.build((None, None, width))
            dice.build((None, None, units))
            self._layers_of_network.append((dense, dice))
            width = units
        self.network = [layer for pair in self._layers_of_network for layer in pair]
        self.dropout = keras.layers.Dropout(c.dropout, dtype=self.dtype_policy)
        self.output_layer = keras.layers.Dense(1, dtype="float32")
        self.output_layer.build((None, None, width))

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        """Vectors: "history" (batch, length, dim), "known" (batch, length), "fields" (batch, fields * dim)."""
        ids = inputs["history"]
        users = {"history": self.items(ids), "known": tf.cast(ids != PAD, tf.float32)}
        if self.user_fields is not None:
            users["fields"] = flat(self.user_fields(inputs, training=training))
        return users

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        """The vectors: "item" (batch, dim), and "fields" (batch, fields * dim)."""
        items = {"item": self.items(inputs["item"][:, None])[:, 0]}
        if self.item_fields is not None:
            items["fields"] = flat(self.item_fields(inputs, training=training))
        return items

    def match(
        self, users: dict[str, tf.Tensor], items: dict[str, tf.Tensor], training: bool | None = None
    ) -> tf.Tensor:
        interest = self.attention(items["item"], users["history"], users["known"])
        hidden = tf.concat([interest, items["item"], *([items["fields"]] if "fields" in items else [])], axis=-1)
        if "fields" in users:
            hidden = beside(users["fields"], hidden)
        for dense, dice in self._layers_of_network:
            hidden = self.dropout(dice(dense(hidden), training=training), training=training)
        return self.output_layer(hidden)[..., 0]

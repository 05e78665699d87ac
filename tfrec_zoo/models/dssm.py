"""DSSM: two towers that meet in a product of vectors.

Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013; the
correction of in-batch negatives: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019.

    features of the user -> embeddings -> tower --+
                                                  +-> product, or cosine / temperature
    features of the item -> embeddings -> tower --+

    pointwise:  log-loss of the label; each side adds a bias of its own (how much the user likes anything, how much the
                item is liked by anybody), which a product says badly. Vectors have two more columns for them
    retrieval:  softmax of the positive item among the items of the batch, log q subtracted from their logits
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
import pydantic
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.losses.in_batch import in_batch_softmax
from tfrec_zoo.models.recommender import ENCODES_ITEMS, Recommender
from tfrec_zoo.models.tower_config import TowerConfig
from tfrec_zoo.models.two_towers import TwoTowers

POINTWISE, RETRIEVAL = "pointwise", "retrieval"


class DSSMConfig(TowerConfig):
    """Objective of the towers.

    Attributes:
        objective: "pointwise" learns labels; "retrieval" learns to find the items of rows with label 1 among all.
        normalize: Whether the vectors have length 1, as in the paper, so that their product is the cosine; it is then
            divided by the temperature. Otherwise their lengths say how sure they are. Default: for retrieval only.
        temperature: Divides the cosine.
        log_q: Of retrieval: subtract the logarithm of how often an item is drawn into a batch from its logit.
        hard_negatives: Of retrieval: only so many negatives with the highest logits count; None: all.
    """

    objective: Literal["pointwise", "retrieval"] = "pointwise"
    normalize: bool | None = None
    temperature: float = pydantic.Field(0.1, gt=0)
    log_q: bool = True
    hard_negatives: int | None = pydantic.Field(None, ge=1)

    @property
    def normalizes(self) -> bool:
        """What `normalize` says, or the objective."""
        return self.objective == RETRIEVAL if self.normalize is None else self.normalize


@keras.saving.register_keras_serializable("tfrec_zoo")
class DSSM(TwoTowers):
    """DSSM over the features of users and items.

    See `FeatureRecommender` for arguments, call and errors; the configuration is a `DSSMConfig`.
    """

    name_in_zoo = "dssm"
    capabilities = TwoTowers.capabilities | {ENCODES_ITEMS}
    config_class = DSSMConfig
    config: DSSMConfig

    def build_network(self) -> None:
        super().build_network()
        c = self.config
        if c.objective == POINTWISE:
            self.user_bias, self.item_bias = (keras.layers.Dense(1, dtype="float32") for _ in range(2))
            self.user_bias.build((None, c.units[-1]))
            self.item_bias.build((None, c.units[-1]))
        else:
            rows = FIRST_ITEM_ID + self.catalog_size
            self.log_q = self.add_weight(name="log_q", shape=(rows,), initializer="zeros", trainable=False)

    @classmethod
    def from_spec(
        cls, spec: DatasetSpec, config: Config | Mapping[str, Any] | None = None, dtype: str | None = None
    ) -> Recommender:
        model = super().from_spec(spec, config, dtype)
        assert isinstance(model, DSSM)
        if not model.retrieves:
            return model
        # A batch of positives draws an item as often as it stands in train; one without train rows as if it had half.
        counts = np.concatenate([np.full(FIRST_ITEM_ID, 0.5), np.maximum(spec.item_counts, 0.5)])
        model.log_q.assign(np.log(counts / max(sum(spec.item_counts), 1)))
        return model

    @property
    def retrieves(self) -> bool:
        return self.config.objective == RETRIEVAL

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """User vectors: float32 (batch, units[-1]), or two columns more where there are biases."""
        hidden = self.user_layers(inputs, training)[-1]
        vectors = self._vectors(hidden)
        if self.config.objective == RETRIEVAL:
            return vectors
        bias = self.user_bias(hidden)
        return tf.concat([vectors, bias, tf.ones_like(bias)], axis=-1)

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Item vectors, in the width of the users'; the product with a user's is the logit."""
        hidden = self.item_layers(inputs, training)[-1]
        vectors = self._vectors(hidden)
        if self.config.objective == RETRIEVAL:
            return vectors
        bias = self.item_bias(hidden)
        return tf.concat([vectors, tf.ones_like(bias), bias], axis=-1)

    def match(self, users: tf.Tensor, items: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return tf.linalg.matvec(items, users)

    def match_all(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.matmul(users, items, transpose_b=True)

    def _vectors(self, hidden: tf.Tensor) -> tf.Tensor:
        vectors = tf.cast(hidden, tf.float32)
        if not self.config.normalizes:
            return vectors
        return tf.nn.l2_normalize(vectors, axis=-1) * self.config.temperature**-0.5

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs, labels, weights = super().training_inputs(batch)
        if self.config.objective == RETRIEVAL:
            # Only what was liked is to be found, and an item without an id can be no candidate.
            weights = labels * tf.cast(batch["item"] >= FIRST_ITEM_ID, tf.float32)
        return inputs, labels, weights

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        if self.config.objective == POINTWISE:
            return super().target_losses(inputs, targets, training)
        users, items = self.encode_users(inputs, training), self.encode_items(inputs, training)
        return self.retrieval_losses(users, items, inputs["item"])

    def retrieval_losses(self, users: tf.Tensor, items: tf.Tensor, item_ids: tf.Tensor) -> tf.Tensor:
        """Loss of finding every row's item among those of the batch.

        Args:
            users: float32 (batch, dim).
            items: float32 (batch, dim), row by row the user's own; products are the logits.
            item_ids: int32 (batch,).

        Returns:
            float32 (batch,).
        """
        log_q = tf.gather(self.log_q.value, item_ids) if self.config.log_q else None
        return in_batch_softmax(users, items, item_ids, log_q, self.config.hard_negatives)

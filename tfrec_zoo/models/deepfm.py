"""DeepFM: a factorisation machine and a network over the same embeddings; the single-tower baseline of ranking.

Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017.

    fields of user and item -> a weight each ------------------------------------+
                            -> embeddings -> products of all pairs (2.1, eq. 2) --+-> sum -> logit
                                          -> joined -> network (2.1, eq. 4) ------+
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfrec_zoo.models.feature_recommender import FeatureRecommender, beside, flat
from tfrec_zoo.models.tower_config import Share, TowerConfig, Units


class DeepFMConfig(TowerConfig):
    """The network beside the factorisation machine, in the paper's sizes."""

    units: Units = (400, 400, 400)
    dropout: Share = 0.5


@keras.saving.register_keras_serializable("tfrec_zoo")
class DeepFM(FeatureRecommender):
    """DeepFM over the features of users and items.

    See `FeatureRecommender` for arguments, call and errors; the configuration is a `DeepFMConfig`.
    """

    name_in_zoo = "deepfm"
    config_class = DeepFMConfig
    config: DeepFMConfig

    def build_network(self) -> None:
        c = self.config
        user, item = self.columns.user, self.columns.item
        self.user_fields, self.item_fields = self._embeddings(user), self._embeddings(item)
        self.user_weights, self.item_weights = self._embeddings(user, 1), self._embeddings(item, 1)
        self.network = c.make_tower((None, None, (len(user) + len(item)) * c.dim), self.dtype_policy)
        self.output_layer = keras.layers.Dense(1, dtype="float32")
        self.output_layer.build((None, None, c.units[-1]))

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """Embeddings of the fields (batch, fields, dim), and the sum of their weights (batch,)."""
        weights = tf.reduce_sum(self.user_weights(inputs, training=training), axis=(1, 2))
        return [self.user_fields(inputs, training=training), weights]

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """As of `encode_users`."""
        weights = tf.reduce_sum(self.item_weights(inputs, training=training), axis=(1, 2))
        return [self.item_fields(inputs, training=training), weights]

    def match(self, users: list[tf.Tensor], items: list[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        # Half of (square of the sum - sum of the squares) is the sum over all pairs.
        total = tf.reduce_sum(users[0], axis=1)[:, None] + tf.reduce_sum(items[0], axis=2)
        squares = tf.reduce_sum(users[0] ** 2, axis=1)[:, None] + tf.reduce_sum(items[0] ** 2, axis=2)
        pairs = 0.5 * tf.reduce_sum(total**2 - squares, axis=-1)
        hidden = self.network(beside(flat(users[0]), flat(items[0])), training=training)[-1]
        first_order = users[1][:, None] + items[1]
        return self.output_layer(hidden)[..., 0] + tf.cast(first_order + pairs, tf.float32)

"""NCF (NeuMF): a user and an item meet in a product and in a network, and both are believed.

He et al., "Neural Collaborative Filtering", WWW 2017.

    user id, item id -> embeddings -> element-wise product (GMF, 3.2) --+
                                                                        +-> dense 1 -> logit (3.4, eq. 12)
    user id, item id -> other embeddings, joined -> MLP (3.3) ----------+

The paper trains on implicit positives with 4 sampled negatives each: `tfrec prepare --negatives 4`. More features than
the two ids may be named: a side's GMF vector is then the sum of its fields' vectors.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfrec_zoo.models.feature_recommender import FeatureRecommender, beside, flat
from tfrec_zoo.models.tower_config import Share, TowerConfig, Units


class NCFConfig(TowerConfig):
    """NeuMF in the sizes of small data, over the two ids; the layers are those of the MLP."""

    units: Units = (64, 32, 16)
    dropout: Share = 0.0
    batch_norm: bool = False
    user_features: tuple[str, ...] | None = ("user_id",)
    item_features: tuple[str, ...] | None = ("item",)


@keras.saving.register_keras_serializable("tfrec_zoo")
class NCF(FeatureRecommender):
    """NeuMF over the ids of users and items.

    See `FeatureRecommender` for arguments, call and errors; the configuration is an `NCFConfig`.
    """

    name_in_zoo = "ncf"
    config_class = NCFConfig
    config: NCFConfig

    def build_network(self) -> None:
        c = self.config
        user, item = self.columns.user, self.columns.item
        self.user_factors, self.item_factors = self._embeddings(user), self._embeddings(item)
        self.user_fields, self.item_fields = self._embeddings(user), self._embeddings(item)
        self.mlp = c.make_tower((None, None, (len(user) + len(item)) * c.dim), self.dtype_policy)
        self.output_layer = keras.layers.Dense(1, dtype="float32")
        self.output_layer.build((None, None, c.dim + c.units[-1]))

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """GMF's vector (batch, dim), and the MLP's input (batch, fields * dim)."""
        factors = tf.reduce_sum(self.user_factors(inputs, training=training), axis=1)
        return [factors, flat(self.user_fields(inputs, training=training))]

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """As of `encode_users`."""
        factors = tf.reduce_sum(self.item_factors(inputs, training=training), axis=1)
        return [factors, flat(self.item_fields(inputs, training=training))]

    def match(self, users: list[tf.Tensor], items: list[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        product = users[0][:, None] * items[0]
        hidden = self.mlp(beside(users[1], items[1]), training=training)[-1]
        return self.output_layer(tf.concat([product, hidden], axis=-1))[..., 0]

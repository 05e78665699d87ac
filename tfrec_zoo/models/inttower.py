"""IntTower: two towers that meet at every layer of the user's, and still keep the items apart.

Li et al., "IntTower: the Next Generation of Two-Tower Model for Pre-Ranking System", CIKM 2022.

    features of the user -> embeddings -> Light-SE (3.2) -> tower: layers 1 .. L, each projected to heads --+
                                                                        FE-Block (3.3): sum of max products +-> logit
    features of the item -> embeddings -> Light-SE ------> tower: last layer, projected to heads -----------+

    loss = log-loss + cir_weight * CIR (3.4): InfoNCE of positive rows against the items of the batch

The published code leaves CIR out of its loss and feeds the FE-Block the layers' inputs, which drops the last user
layer; this is the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.backbones.tower import Tower
from tfrec_zoo.layers.fe_block import FEBlock
from tfrec_zoo.layers.light_se import LightSE
from tfrec_zoo.losses.info_nce import info_nce
from tfrec_zoo.losses.pointwise import log_loss
from tfrec_zoo.models.feature_recommender import FeatureConfig, FeatureRecommender, flat


class IntTowerConfig(FeatureConfig):
    """Towers and their meeting; each part can be left out to see what it brings.

    Attributes:
        units: Widths of the layers of both towers.
        dropout: Share of dropped activations.
        batch_norm: Whether layers are normalised.
        heads, item_heads: Heads of every user layer, and of the item.
        head_dim: Width of a head.
        light_se: Weigh the fields by Light-SE.
        fe_block: Let every user layer take part; otherwise the last alone does, as in DSSM.
        cir_weight: lambda of CIR; 0 leaves it out.
        cir_temperature: tau of CIR.
    """

    units: tuple[pydantic.PositiveInt, ...] = pydantic.Field((300, 300, 128), min_length=1)
    dropout: float = pydantic.Field(0.3, ge=0, lt=1)
    batch_norm: bool = True
    heads: int = pydantic.Field(4, ge=1)
    item_heads: int = pydantic.Field(4, ge=1)
    head_dim: int = pydantic.Field(32, ge=1)
    light_se: bool = True
    fe_block: bool = True
    cir_weight: float = pydantic.Field(0.1, ge=0)
    cir_temperature: float = pydantic.Field(0.2, gt=0)


@keras.saving.register_keras_serializable("tfrec_zoo")
class IntTower(FeatureRecommender):
    """IntTower over the features of users and items.

    See `FeatureRecommender` for arguments, call and errors; the configuration is an `IntTowerConfig`.
    """

    name_in_zoo = "inttower"
    config_class = IntTowerConfig
    config: IntTowerConfig

    def build_network(self) -> None:
        c = self.config
        self.user_fields, self.item_fields = self._embeddings(self.columns.user), self._embeddings(self.columns.item)
        self.user_tower, self.item_tower = (
            Tower(c.units, c.dropout, c.batch_norm, dtype=self.dtype_policy) for _ in range(2)
        )
        self.user_tower.build((None, len(self.columns.user) * c.dim))
        self.item_tower.build((None, len(self.columns.item) * c.dim))
        if c.light_se:
            self.user_se, self.item_se = LightSE(dtype=self.dtype_policy), LightSE(dtype=self.dtype_policy)
            self.user_se.build((None, len(self.columns.user), c.dim))
            self.item_se.build((None, len(self.columns.item), c.dim))
        taking_part = c.units if c.fe_block else c.units[-1:]
        self.block = FEBlock(taking_part, c.units[-1], c.heads, c.item_heads, c.head_dim, dtype=self.dtype_policy)
        self.block.build()
        # A sum of `layers * heads` products of random vectors starts at about the size of one logit.
        self.scale = (len(taking_part) * c.heads * c.head_dim) ** -0.5
        self.bias = self.add_weight(name="bias", shape=(), initializer="zeros")

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Heads of all user layers: float32 (batch, layers * heads, head_dim)."""
        return self._user_heads(self._user_layers(inputs, training))

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Heads of the item: float32 (batch, item_heads, head_dim)."""
        return tf.cast(self.block.item_heads_of(self._item_layer(inputs, training)), tf.float32)

    def match(self, users: tf.Tensor, items: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.block.match(users, items) * self.scale + self.bias

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        c = self.config
        user, item = self._user_layers(inputs, training), self._item_layer(inputs, training)
        heads = tf.cast(self.block.item_heads_of(item), tf.float32)[:, None]
        losses = log_loss(self.match(self._user_heads(user), heads, training)[:, 0], targets)
        if c.cir_weight:
            # The item is a row's answer only where the label says so.
            losses += c.cir_weight * targets * info_nce(user[-1], item, inputs["item"], c.cir_temperature)
        return losses

    def _user_layers(self, inputs: Mapping[str, tf.Tensor], training: bool | None) -> list[tf.Tensor]:
        fields = self.user_fields(inputs, training=training)
        return self.user_tower(flat(self.user_se(fields) if self.config.light_se else fields), training=training)

    def _user_heads(self, layers: list[tf.Tensor]) -> tf.Tensor:
        return tf.cast(self.block.user_heads(layers if self.config.fe_block else layers[-1:]), tf.float32)

    def _item_layer(self, inputs: Mapping[str, tf.Tensor], training: bool | None) -> tf.Tensor:
        fields = self.item_fields(inputs, training=training)
        return self.item_tower(flat(self.item_se(fields) if self.config.light_se else fields), training=training)[-1]

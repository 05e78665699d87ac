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

from tfrec_zoo.layers.fe_block import FEBlock
from tfrec_zoo.layers.light_se import LightSE
from tfrec_zoo.losses.info_nce import info_nce
from tfrec_zoo.losses.pointwise import log_loss
from tfrec_zoo.models.tower_config import TowerConfig
from tfrec_zoo.models.two_towers import TwoTowers
from tfrec_zoo.preprocessing.feature_columns import USER


class IntTowerConfig(TowerConfig):
    """The towers' meeting; each part can be left out to see what it brings.

    Attributes:
        heads, item_heads: Heads of every user layer, and of the item.
        head_dim: Width of a head.
        light_se: Weigh the fields by Light-SE.
        fe_block: Let every user layer take part; otherwise the last alone does, as in DSSM.
        cir_weight: lambda of CIR; 0 leaves it out.
        cir_temperature: tau of CIR.
    """

    heads: int = pydantic.Field(4, ge=1)
    item_heads: int = pydantic.Field(4, ge=1)
    head_dim: int = pydantic.Field(32, ge=1)
    light_se: bool = True
    fe_block: bool = True
    cir_weight: float = pydantic.Field(0.1, ge=0)
    cir_temperature: float = pydantic.Field(0.2, gt=0)


@keras.saving.register_keras_serializable("tfrec_zoo")
class IntTower(TwoTowers):
    """IntTower over the features of users and items.

    See `FeatureRecommender` for arguments, call and errors; the configuration is an `IntTowerConfig`.
    """

    name_in_zoo = "inttower"
    config_class = IntTowerConfig
    config: IntTowerConfig

    def build_network(self) -> None:
        super().build_network()
        c = self.config
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

    def weigh(self, fields: tf.Tensor, side: str) -> tf.Tensor:
        if not self.config.light_se:
            return fields
        return self.user_se(fields) if side == USER else self.item_se(fields)

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Heads of all user layers: float32 (batch, layers * heads, head_dim)."""
        return self._user_heads(self.user_layers(inputs, training))

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Heads of the item: float32 (batch, item_heads, head_dim)."""
        return tf.cast(self.block.item_heads_of(self.item_layers(inputs, training)[-1]), tf.float32)

    def match(self, users: tf.Tensor, items: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.block.match(users, items) * self.scale + self.bias

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        c = self.config
        user, item = self.user_layers(inputs, training), self.item_layers(inputs, training)[-1]
        heads = tf.cast(self.block.item_heads_of(item), tf.float32)[:, None]
        losses = log_loss(self.match(self._user_heads(user), heads, training)[:, 0], targets)
        if c.cir_weight:
            # The item is a row's answer only where the label says so.
            losses += c.cir_weight * targets * info_nce(user[-1], item, inputs["item"], c.cir_temperature)
        return losses

    def _user_heads(self, layers: list[tf.Tensor]) -> tf.Tensor:
        return tf.cast(self.block.user_heads(layers if self.config.fe_block else layers[-1:]), tf.float32)

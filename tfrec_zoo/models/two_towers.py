"""What models of two towers share: the features of a user and of an item, each through a tower of its own."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfrec_zoo.models.feature_recommender import FeatureRecommender, flat
from tfrec_zoo.models.tower_config import TowerConfig
from tfrec_zoo.preprocessing.feature_columns import ITEM, USER


class TwoTowers(FeatureRecommender):
    """A user tower and an item tower without common variables.

    The last layers are linear: a ReLU there would keep the vectors in one corner of the space, in which no product is
    negative and no user dislikes anything.

    Subclasses add to `build_network` what the towers meet in.
    """

    config: TowerConfig

    def build_network(self) -> None:
        c = self.config
        user, item = self.columns.user, self.columns.item
        self.user_fields, self.item_fields = self._embeddings(user), self._embeddings(item)
        self.user_tower, self.item_tower = (
            c.make_tower((None, len(columns) * c.dim), self.dtype_policy, linear=True) for columns in (user, item)
        )

    def weigh(self, fields: tf.Tensor, side: str) -> tf.Tensor:
        """Weighs the fields of a side, "user" or "item", before its tower: float (batch, fields, dim), as they are."""
        return fields

    def user_layers(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """The output of every layer of the user tower: the user's columns -> float (batch, units[i])."""
        fields = self.weigh(self.user_fields(inputs, training=training), USER)
        return self.user_tower(flat(fields), training=training)

    def item_layers(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """The output of every layer of the item tower: the item's columns -> float (batch, units[i])."""
        fields = self.weigh(self.item_fields(inputs, training=training), ITEM)
        return self.item_tower(flat(fields), training=training)

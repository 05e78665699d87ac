"""FE-Block: every layer of the user tower meets the last layer of the item tower, late enough to cache the items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class FEBlock(keras.layers.Layer):
    """Projects the layers of both towers to heads and matches these by their largest dot products.

    `user_heads` and `item_heads` depend on one side alone; `match` has no weights but a scale. An item is known by its
    heads from then on.

    Args:
        user_widths: Width of every user layer that takes part.
        item_width: Width of the item layer.
        heads: Heads of each user layer.
        item_heads: Heads of the item.
        head_dim: Width of a head.

    Reference:
        Li et al., IntTower, CIKM 2022, section 3.3, equations 5 to 8.
    """

    def __init__(
        self, user_widths: Sequence[int], item_width: int, heads: int, item_heads: int, head_dim: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.user_widths, self.item_width = tuple(user_widths), item_width
        self.heads, self.item_heads, self.head_dim = heads, item_heads, head_dim

    def build(self, input_shape: Any = None) -> None:
        self._user = [self._projection(width, self.heads) for width in self.user_widths]
        self._item = self._projection(self.item_width, self.item_heads)
        self.built = True

    def _projection(self, width: int, heads: int) -> keras.layers.Layer:
        dense = keras.layers.Dense(heads * self.head_dim, dtype=self.dtype_policy)
        dense.build((None, width))
        return dense

    def user_heads(self, layers: Sequence[Any]) -> Any:
        """Heads of the user: float (batch, width) a layer -> (batch, layers * heads, head_dim)."""
        projected = [project(layer) for project, layer in zip(self._user, layers, strict=True)]
        return ops.reshape(ops.concatenate(projected, axis=-1), (-1, len(self._user) * self.heads, self.head_dim))

    def item_heads_of(self, layer: Any) -> Any:
        """Heads of the item: float (batch, width) -> (batch, item_heads, head_dim)."""
        return ops.reshape(self._item(layer), (-1, self.item_heads, self.head_dim))

    @staticmethod
    def match(users: Any, items: Any) -> Any:
        """Sums, over the heads of a user, the largest dot product with a head of the item.

        Args:
            users: float (batch, user heads, head_dim).
            items: float (batch, candidates, item heads, head_dim); there may be no candidates.

        Returns:
            float (batch, candidates).
        """
        batch, candidates, heads, width = ops.shape(items)
        # One matrix product for all candidates of a user.
        flat = ops.reshape(items, (batch, candidates * heads, width))
        products = ops.matmul(flat, ops.transpose(users, (0, 2, 1)))
        products = ops.reshape(products, (batch, candidates, heads, users.shape[1]))
        # With a value to start from, Keras takes a user without candidates for what it is.
        return ops.sum(ops.max(products, axis=2, initial=float("-inf")), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "user_widths": list(self.user_widths),
            "item_width": self.item_width,
            "heads": self.heads,
            "item_heads": self.item_heads,
            "head_dim": self.head_dim,
        }

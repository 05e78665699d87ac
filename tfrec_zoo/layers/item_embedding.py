"""Embedding of a sequence of items alone, for networks that know the order by their shape."""

from typing import Any

import keras
from keras import ops

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.layers.item_table import LookUp, add_item_table, look_up


@keras.saving.register_keras_serializable("tfrec_zoo")
class ItemEmbedding(keras.layers.Layer):
    """Looks items up; PAD is zero.

    Args:
        catalog_size: Number of items; the reserved ids have rows of their own.
        dim: Width of the embedding.
        dropout: Share of dropped activations.

    Call args:
        item_ids: int (batch, length).
        look_up: Takes rows of the item table, as `item_table.look_up` does; default: from the layer's own.

    Returns:
        float (batch, length, dim), zeros at PAD.
    """

    def __init__(self, catalog_size: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.catalog_size, self.dim, self.dropout = catalog_size, dim, dropout
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.item_embeddings = add_item_table(self, self.catalog_size, self.dim)

    def call(self, item_ids: Any, look_up: LookUp | None = None, training: bool | None = None) -> Any:
        rows = (look_up or self._look_up)(item_ids, self.compute_dtype)
        embedded = self._dropout(rows, training=training)
        return ops.where((item_ids != PAD)[..., None], embedded, ops.zeros_like(embedded))

    def _look_up(self, item_ids: Any, dtype: str) -> Any:
        return look_up(self.item_embeddings, item_ids, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "catalog_size": self.catalog_size, "dim": self.dim, "dropout": self.dropout}

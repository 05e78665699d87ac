"""Embedding of a sequence of items alone, for networks that know the order by their shape."""

from typing import Any

import keras
from keras import ops

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.layers.item_table import add_item_table, look_up


@keras.saving.register_keras_serializable("tfrec_zoo")
class ItemEmbedding(keras.layers.Layer):
    """Looks items up; PAD is zero.

    Args:
        catalog_size: Number of items; the reserved ids have rows of their own.
        dim: Width of the embedding.
        dropout: Share of dropped activations.

    Call args:
        item_ids: int (batch, length).

    Returns:
        float (batch, length, dim), zeros at PAD.
    """

    def __init__(self, catalog_size: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.catalog_size, self.dim, self.dropout = catalog_size, dim, dropout
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.item_embeddings = add_item_table(self, self.catalog_size, self.dim)

    def call(self, item_ids: Any, training: bool | None = None) -> Any:
        embedded = self._dropout(look_up(self.item_embeddings, item_ids, self.compute_dtype), training=training)
        return ops.where((item_ids != PAD)[..., None], embedded, ops.zeros_like(embedded))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "catalog_size": self.catalog_size, "dim": self.dim, "dropout": self.dropout}

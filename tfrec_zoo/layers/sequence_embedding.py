"""Embedding of a right-aligned sequence: item plus position, positions counted from the end."""

from typing import Any

import keras
from keras import ops

from tfrec_zoo.layers.item_table import LookUp, add_item_table, look_up


@keras.saving.register_keras_serializable("tfrec_zoo")
class SequenceEmbedding(keras.layers.Layer):
    """Adds the embeddings of an item and of its distance from the newest column, then LayerNorm and dropout.

    Args:
        catalog_size: Number of items; the reserved ids have rows of their own.
        max_length: Longest sequence; shorter ones use the positions of their last columns.
        dim: Width of the embedding.
        dropout: Share of dropped activations.

    Call args:
        item_ids: int (batch, length), right-aligned, length at most `max_length`.
        look_up: Takes rows of the item table, as `item_table.look_up` does; default: from the layer's own.

    Returns:
        float (batch, length, dim). What stands at PAD is arbitrary: the layers above mask it.

    Reference:
        Sun et al., BERT4Rec, CIKM 2019, section 3.4.
    """

    def __init__(self, catalog_size: int, max_length: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.catalog_size, self.max_length, self.dim, self.dropout = catalog_size, max_length, dim, dropout
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self._norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.item_embeddings = add_item_table(self, self.catalog_size, self.dim)
        self.position_embeddings = self.add_weight(
            name="position_embeddings",
            shape=(self.max_length, self.dim),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        self._norm.build((*input_shape, self.dim))

    def call(self, item_ids: Any, look_up: LookUp | None = None, training: bool | None = None) -> Any:
        length = item_ids.shape[1] or ops.shape(item_ids)[1]
        # Row 0 belongs to the newest column.
        positions = ops.flip(self.position_embeddings[:length], axis=0)
        rows = (look_up or self._look_up)(item_ids, self.compute_dtype)
        return self._dropout(self._norm(rows + positions), training=training)

    def _look_up(self, item_ids: Any, dtype: str) -> Any:
        return look_up(self.item_embeddings, item_ids, dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"catalog_size": self.catalog_size, "max_length": self.max_length}
        return {**super().get_config(), **own, "dim": self.dim, "dropout": self.dropout}

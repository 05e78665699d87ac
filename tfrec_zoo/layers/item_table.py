"""The table of item vectors, one row an id, and look-ups in it whose gradient is sparse."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID


def add_item_table(layer: keras.layers.Layer, catalog_size: int, dim: int) -> Any:
    """Adds the weight "item_embeddings" to a layer that is being built.

    Args:
        layer: Its owner.
        catalog_size: Number of items; the reserved ids have rows of their own, before those of the items.
        dim: Width of a row.

    Returns:
        The variable, float32 (4 + catalog_size, dim).
    """
    # Casting the whole table before a few of its rows are taken would make its gradient dense.
    return layer.add_weight(
        name="item_embeddings",
        shape=(FIRST_ITEM_ID + catalog_size, dim),
        initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        autocast=False,
    )


def look_up(table: Any, item_ids: tf.Tensor, dtype: str) -> tf.Tensor:
    """Rows of a table.

    Args:
        table: What `add_item_table` returned.
        item_ids: int (...).
        dtype: Of the result.

    Returns:
        `dtype` (..., dim); the gradient of the table is a tf.IndexedSlices.
    """
    # Of the variable, not of its value: that would be copied as a whole at every step.
    return tf.cast(tf.nn.embedding_lookup(table.value, item_ids), dtype)

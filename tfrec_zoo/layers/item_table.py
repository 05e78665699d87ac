"""The table of item vectors, one row an id, and look-ups in it whose gradient is sparse.

It is one variable, or several that hold a range of rows each, so that parameter servers can share it out. An
optimizer then sees several variables, and all of TensorFlow's and Keras' ways to treat a variable work on each.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TypeAlias

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID

ItemTable: TypeAlias = keras.Variable | list[keras.Variable]

_parts: contextvars.ContextVar[int] = contextvars.ContextVar("parts of an item table", default=1)


@contextlib.contextmanager
def partitioned(parts: int) -> Iterator[None]:
    """Tables that are made within this `with` block have so many parts; how many is a matter of where they train."""
    token = _parts.set(parts)
    try:
        yield
    finally:
        _parts.reset(token)


def add_item_table(layer: keras.layers.Layer, catalog_size: int, dim: int) -> ItemTable:
    """Adds the weight "item_embeddings" to a layer that is being built, or its parts one after the other.

    Args:
        layer: Its owner.
        catalog_size: Number of items; the reserved ids have rows of their own, before those of the items.
        dim: Width of a row.

    Returns:
        The variable, float32 (4 + catalog_size, dim), or its parts within `partitioned`: ranges of rows in their
        order, as long as one another or the first ones a row longer.
    """
    rows = FIRST_ITEM_ID + catalog_size
    parts = min(_parts.get(), rows)

    def add(name: str, count: int) -> keras.Variable:
        # Casting the whole table before a few of its rows are taken would make its gradient dense.
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        return layer.add_weight(name=name, shape=(count, dim), initializer=initializer, autocast=False)

    if parts == 1:
        return add("item_embeddings", rows)
    return [add(f"item_embeddings_{part}", rows // parts + (part < rows % parts)) for part in range(parts)]


def variables_of(table: ItemTable) -> tf.Variable | list[tf.Variable]:
    """What `tf.nn.embedding_lookup` takes: the variables themselves, of which it reads the rows that it looks up."""
    return [part.value for part in table] if isinstance(table, list) else table.value


def whole(table: ItemTable) -> tf.Tensor:
    """All rows: float32 (4 + catalog_size, dim)."""
    return tf.concat(variables_of(table), axis=0) if isinstance(table, list) else tf.convert_to_tensor(table)


def look_up(table: ItemTable, item_ids: tf.Tensor, dtype: str) -> tf.Tensor:
    """Rows of a table.

    Args:
        table: What `add_item_table` returned.
        item_ids: int (...).
        dtype: Of the result.

    Returns:
        `dtype` (..., dim); the gradient of the table, or of each of its parts, is a tf.IndexedSlices.
    """
    return tf.cast(tf.nn.embedding_lookup(variables_of(table), item_ids), dtype)

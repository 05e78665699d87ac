"""The table of item vectors, one row an id, and look-ups in it whose gradient is sparse.

It is one variable, or several that hold a range of rows each, so that parameter servers can share it out. An
optimizer then sees several variables, and all of TensorFlow's and Keras' ways to treat a variable work on each.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.sparse_gradients import add_up_rows

ItemTable: TypeAlias = keras.Variable | list[keras.Variable]

LookUp: TypeAlias = Callable[[tf.Tensor, str], tf.Tensor]
"""`look_up` in a table: from item ids and a dtype to rows."""

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
    """`add_table` with the name "item_embeddings"."""
    return add_table(layer, "item_embeddings", catalog_size, dim)


def add_table(layer: keras.layers.Layer, name: str, entries: int, dim: int) -> ItemTable:
    """Adds a table of vectors to a layer that is being built, or its parts one after the other.

    Args:
        layer: Its owner.
        name: Of the weight; parts have their number after it.
        entries: Of the vocabulary; the reserved ids have rows of their own, before those of the entries.
        dim: Width of a row.

    Returns:
        The variable, float32 (4 + entries, dim), or its parts within `partitioned`: ranges of rows in their order, as
        long as one another or the first ones a row longer.
    """
    rows = FIRST_ITEM_ID + entries
    parts = min(_parts.get(), rows)

    def add(part_name: str, count: int) -> keras.Variable:
        # Casting the whole table before a few of its rows are taken would make its gradient dense.
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        return layer.add_weight(name=part_name, shape=(count, dim), initializer=initializer, autocast=False)

    if parts == 1:
        return add(name, rows)
    return [add(f"{name}_{part}", rows // parts + (part < rows % parts)) for part in range(parts)]


def variables_of(table: ItemTable) -> tf.Variable | list[tf.Variable]:
    """What `tf.nn.embedding_lookup` takes: the variables themselves, of which it reads the rows that it looks up."""
    return [part.value for part in table] if isinstance(table, list) else table.value


def look_ups_and_whole(table: ItemTable) -> tuple[LookUp, tf.Tensor]:
    """Reads a table for a model that looks rows up in it and also computes with all of it.

    In the gradient, the rows that were looked up are added into the gradient of the whole, in place. Automatic
    differentiation would make them as large as the table first, and then sum: three tables where there is one now.

    Args:
        table: What `add_item_table` returned. One in parts gets the gradients that it always had.

    Returns:
        `look_up` in this table, and `whole` of it. What is computed from the whole must have a gradient that nothing
        else refers to, such as `chunked_softmax` makes.
    """
    if isinstance(table, list):
        return functools.partial(look_up, table), whole(table)
    looked_up, everything = _fork(tf.convert_to_tensor(table))
    return functools.partial(look_up, looked_up), everything


@tf.custom_gradient
def _fork(rows: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tf.Tensor]]:
    def gradient(of_look_ups: tf.Tensor | tf.IndexedSlices, of_whole: tf.Tensor) -> tf.Tensor:
        if not isinstance(of_look_ups, tf.IndexedSlices):  # nothing was looked up
            return of_look_ups + of_whole
        rows = add_up_rows(of_look_ups)  # side by side on a GPU, two parts of one row would race
        # The scatter operations copy what they add to.
        return tf.raw_ops.InplaceAdd(x=of_whole, i=tf.cast(rows.indices, tf.int32), v=rows.values)

    return (tf.identity(rows), tf.identity(rows)), gradient


def whole(table: ItemTable) -> tf.Tensor:
    """All rows: float32 (4 + catalog_size, dim)."""
    return tf.concat(variables_of(table), axis=0) if isinstance(table, list) else tf.convert_to_tensor(table)


def look_up(table: ItemTable | tf.Tensor, item_ids: tf.Tensor, dtype: str) -> tf.Tensor:
    """Rows of a table.

    Args:
        table: What `add_item_table` returned, or all its rows.
        item_ids: int (...).
        dtype: Of the result.

    Returns:
        `dtype` (..., dim); the gradient of the table, or of each of its parts, is a tf.IndexedSlices.
    """
    rows = table if isinstance(table, tf.Tensor) else variables_of(table)  # is_tensor holds for Keras variables too
    return tf.cast(tf.nn.embedding_lookup(rows, item_ids), dtype)

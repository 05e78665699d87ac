"""Gradients of a batch in parts: the batch is cut, the gradients are added up, and sparse ones stay sparse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices | None


def parts_of_batch(batch: Any, count: int) -> Iterator[Any]:
    """Cuts a nested batch along its rows into `count` parts whose sizes differ by one row at most.

    Args:
        batch: Nested tensors with as many rows each.
        count: Number of parts; those beyond the number of rows are empty.
    """
    if count == 1:
        yield batch
        return
    rows = tf.shape(tf.nest.flatten(batch)[0])[0]
    for part in range(count):
        begin, end = part * rows // count, (part + 1) * rows // count
        yield tf.nest.map_structure(lambda tensor, begin=begin, end=end: tensor[begin:end], batch)


def add(gradients: Sequence[Gradient], more: Sequence[Gradient]) -> list[Gradient]:
    """Adds gradients of the same variables; two sparse ones stay sparse, with the rows of both."""
    return [_add(one, other) for one, other in zip(gradients, more, strict=True)]


def dense(gradients: Sequence[Gradient]) -> list[Gradient]:
    """Makes sparse gradients dense; rows that occur twice are added up."""
    return [
        tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in gradients
    ]


def _add(one: Gradient, other: Gradient) -> Gradient:
    if one is None or other is None:
        return one if other is None else other
    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        values = tf.concat([one.values, other.values], axis=0)
        return tf.IndexedSlices(values, tf.concat([one.indices, other.indices], axis=0), one.dense_shape)
    return tf.convert_to_tensor(one) + tf.convert_to_tensor(other)

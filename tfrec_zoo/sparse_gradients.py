"""Gradients of tables, of which a batch touches a few rows: `tf.IndexedSlices`, here summed and clipped as they are.

What Keras does with them at the level of the optimizer (clipping, weight decay, moving averages, accumulation) makes
them dense, at the cost of the whole table a step. Its optimizers also square the parts of a repeated row before they
add them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


def add_up_rows(gradient: Gradient) -> Gradient:
    """Sums the parts of every row, so that no row occurs twice; a dense gradient stays as it is.

    Args:
        gradient: Dense, or values (n, ...) of rows (n,).
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def clip_by_global_norm(gradients: Sequence[Gradient], largest: float) -> list[Gradient]:
    """Scales all gradients so that their common norm is at most `largest`.

    Args:
        gradients: Without repeated rows; rows that are absent count as zeros.
        largest: The norm; positive. NaN or infinite gradients stay so.
    """
    norm = tf.linalg.global_norm([values_of(gradient) for gradient in gradients])
    # Adding norm - norm leaves finite scales alone and makes the others NaN, so that nothing hides a broken gradient.
    scale = largest / tf.maximum(norm, largest) + (norm - norm)
    return [with_values(gradient, values_of(gradient) * scale) for gradient in gradients]


def values_of(gradient: Gradient) -> tf.Tensor:
    """The numbers of a gradient, whichever kind it is."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def with_values(gradient: Gradient, values: tf.Tensor) -> Gradient:
    """A gradient of the same kind and for the same rows with other numbers."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return values

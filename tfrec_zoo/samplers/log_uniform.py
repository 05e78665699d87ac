"""Negatives from a log-uniform law over frequency ranks, which is close to the popularity of real catalogues."""

from __future__ import annotations

import math

import tensorflow as tf


def sample(count: int, catalog_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws columns with replacement.

    Args:
        count: Number of draws.
        catalog_size: Number of items.
        seed: int (2,); the same seed draws the same columns.

    Returns:
        int32 (count,), 0 (the most frequent item) to catalog_size - 1.
    """
    # In float32 there are fewer numbers near 1 than items in the tail of a catalogue of a million.
    uniform = tf.random.stateless_uniform((count,), seed, dtype=tf.float64)
    columns = tf.exp(uniform * math.log(catalog_size + 1.0)) - 1.0
    return tf.minimum(tf.cast(columns, tf.int32), catalog_size - 1)


def log_probability(columns: tf.Tensor, catalog_size: int) -> tf.Tensor:
    """Logarithm of the probability log((r + 2) / (r + 1)) / log(n + 1) that a draw is the column of rank r.

    Args:
        columns: int, any shape.
        catalog_size: Number of items.

    Returns:
        float32 of the shape of `columns`.
    """
    rank = tf.cast(columns, tf.float32)
    return tf.math.log(tf.math.log1p(1.0 / (rank + 1.0))) - math.log(math.log(catalog_size + 1.0))

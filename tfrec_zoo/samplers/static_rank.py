"""Negatives by rank: LambdaFM's static sampler, which prefers popular items."""

from __future__ import annotations

import tensorflow as tf


def sample(shape: tuple, catalog_size: int, rho: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws columns with p_j proportional to exp(-(j + 1) / (catalog_size rho)), with replacement.

    Args:
        shape: Of the result; may hold scalar tensors.
        catalog_size: Number of items; column j has rank j, 0 is the most frequent item.
        rho: Small values keep to the popular items; 0.3 to 0.5 in the paper.
        seed: int (2,); the same seed draws the same columns.

    Returns:
        int32 of that shape, 0 to catalog_size - 1.

    Reference:
        Yuan et al., LambdaFM: Learning Optimal Ranking with Factorization Machines Using Lambda Surrogates, CIKM 2016,
        section 4.2.1, equation 8.
    """
    scale = catalog_size * rho
    uniform = tf.random.stateless_uniform(shape, seed)
    # The law is a truncated geometric one; this is the inverse of its distribution function.
    reached = 1.0 - tf.exp(-catalog_size / scale)
    columns = -scale * tf.math.log1p(-uniform * reached)
    return tf.minimum(tf.cast(columns, tf.int32), catalog_size - 1)

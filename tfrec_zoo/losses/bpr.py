"""Bayesian personalised ranking: the target above one sampled negative."""

from __future__ import annotations

import tensorflow as tf


def bpr(queries: tf.Tensor, targets: tf.Tensor, negatives: tf.Tensor, items: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Negative log-sigmoid of the difference between the target's score and that of a negative.

    Args:
        queries: float (batch, dim).
        targets: int32 (batch,), columns.
        negatives: int32 (batch,), columns; one that is the target itself has a constant loss and teaches nothing.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).

    Returns:
        float32 (batch,).

    Reference:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
    """
    difference = tf.reduce_sum(queries * (tf.gather(items, targets) - tf.gather(items, negatives)), axis=-1)
    difference += tf.gather(bias, targets) - tf.gather(bias, negatives)
    return tf.math.softplus(-tf.cast(difference, tf.float32))

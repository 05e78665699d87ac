"""Losses of a target among the catalogue, from queries and item vectors: full softmax, sampled softmax, gBCE.

All take queries, the targets' columns and the table of item vectors, and return one loss a target; what is averaged,
and with
which weights, is the model's business. The sampled ones cost targets x negatives instead of targets x catalogue.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.samplers import log_uniform


def softmax(queries: tf.Tensor, targets: tf.Tensor, items: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood under the softmax over the whole catalogue.

    Args:
        queries: float (n, dim).
        targets: int32 (n,), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).

    Returns:
        float32 (n,).
    """
    logits = tf.cast(tf.matmul(queries, items, transpose_b=True) + bias, tf.float32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def sampled_softmax(
    queries: tf.Tensor, targets: tf.Tensor, items: tf.Tensor, bias: tf.Tensor, negatives: int, seed: tf.Tensor
) -> tf.Tensor:
    """Softmax over the target and negatives that the batch shares, drawn log-uniformly, with logQ correction.

    log(negatives x probability) is subtracted from a negative's logit, so that the sum over negatives estimates the
    sum over the catalogue; negatives that are the target itself are left out.

    Args:
        queries: float (n, dim).
        targets: int32 (n,), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).
        negatives: Draws, with replacement.
        seed: int (2,).

    Returns:
        float32 (n,).

    Reference:
        Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
        Model, IEEE Transactions on Neural Networks 2008.
    """
    catalog_size = items.shape[0]
    drawn = log_uniform.sample(negatives, catalog_size, seed)
    expected = tf.math.log(float(negatives)) + log_uniform.log_probability(drawn, catalog_size)
    own, other = _logits(queries, targets, drawn, items, bias)
    other = tf.where(targets[:, None] == drawn, other.dtype.min, other - expected)
    return tf.reduce_logsumexp(tf.concat([own[:, None], other], axis=1), axis=1) - own


def gbce(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor,
    bias: tf.Tensor,
    negatives: int,
    calibration: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Generalised binary cross-entropy: uniform negatives without the overconfidence that they bring.

    With a = negatives / (catalog_size - 1) and b = a (t (1 - 1/a) + 1/a), the loss is
    -(b log sigmoid(s+) + sum log(1 - sigmoid(s-))) / (negatives + 1).

    Args:
        queries: float (n, dim).
        targets: int32 (n,), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).
        negatives: Draws that the batch shares, with replacement; those that are the target itself do not count.
        calibration: t, from 0 (plain binary cross-entropy) to 1 (fully calibrated).
        seed: int (2,).

    Returns:
        float32 (n,).

    Reference:
        Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
        Sampling, RecSys 2023, section 5.
    """
    catalog_size = items.shape[0]
    drawn = tf.random.stateless_uniform((negatives,), seed, maxval=catalog_size, dtype=tf.int32)
    share = min(negatives / (catalog_size - 1), 1.0)
    power = share * (calibration * (1.0 - 1.0 / share) + 1.0 / share)
    own, other = _logits(queries, targets, drawn, items, bias)
    wrong = tf.where(targets[:, None] == drawn, 0.0, tf.math.softplus(other))
    return (power * tf.math.softplus(-own) + tf.reduce_sum(wrong, axis=1)) / (negatives + 1.0)


def _logits(
    queries: tf.Tensor, targets: tf.Tensor, drawn: tf.Tensor, items: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of the targets (n,) and of the shared negatives (n, negatives), float32."""
    own = tf.reduce_sum(queries * tf.gather(items, targets), axis=1) + tf.gather(bias, targets)
    other = tf.matmul(queries, tf.gather(items, drawn), transpose_b=True) + tf.gather(bias, drawn)
    return tf.cast(own, tf.float32), tf.cast(other, tf.float32)

"""Losses of a target among the catalogue, from queries and item vectors: full softmax, sampled softmax, gBCE.

All take the queries and targets of a batch of histories and the table of item vectors, and return one loss a target;
what is averaged, and with which weights, is the model's business. The sampled ones cost targets x negatives instead of
targets x catalogue.

Each can leave a row's known items out of its negatives. A ranking that filters seen items never compares the target
with them, and a model that reads only a part of a history cannot tell them apart: counted as negatives, they teach it
that what most users have seen already is unlikely for everyone.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.samplers import log_uniform


def softmax(
    queries: tf.Tensor, targets: tf.Tensor, items: tf.Tensor, bias: tf.Tensor, known: tf.Tensor | None = None
) -> tf.Tensor:
    """Negative log-likelihood under the softmax over the whole catalogue.

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).
        known: int32 (batch, m), columns that are no negatives of the row's targets; negative numbers stand for none.
            The row's other targets are then none either.

    Returns:
        float32 (batch, places).
    """
    logits = tf.cast(tf.einsum("bpd,nd->bpn", queries, items) + bias, tf.float32)
    if known is None:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    own = tf.gather(logits, targets, batch_dims=2)
    excluded = _columns(tf.concat([known, targets], axis=1), items.shape[0])
    others = tf.where(excluded[:, None], logits.dtype.min, logits)
    return tf.math.softplus(tf.reduce_logsumexp(others, axis=-1) - own)


def sampled_softmax(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor,
    bias: tf.Tensor,
    negatives: int,
    seed: tf.Tensor,
    known: tf.Tensor | None = None,
) -> tf.Tensor:
    """Softmax over the target and negatives that the batch shares, drawn log-uniformly, with logQ correction.

    log(negatives x probability) is subtracted from a negative's logit, so that the sum over negatives estimates the
    sum over the catalogue; negatives that are the target itself are left out.

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).
        negatives: Draws, with replacement.
        seed: int (2,).
        known: As in `softmax`.

    Returns:
        float32 (batch, places).

    Reference:
        Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
        Model, IEEE Transactions on Neural Networks 2008.
    """
    catalog_size = items.shape[0]
    drawn = log_uniform.sample(negatives, catalog_size, seed)
    expected = tf.math.log(float(negatives)) + log_uniform.log_probability(drawn, catalog_size)
    own, other = _logits(queries, targets, drawn, items, bias)
    other = tf.where(_is_negative(drawn, targets, known), other - expected, other.dtype.min)
    return tf.reduce_logsumexp(tf.concat([own[..., None], other], axis=-1), axis=-1) - own


def gbce(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor,
    bias: tf.Tensor,
    negatives: int,
    calibration: float,
    seed: tf.Tensor,
    known: tf.Tensor | None = None,
) -> tf.Tensor:
    """Generalised binary cross-entropy: uniform negatives without the overconfidence that they bring.

    With a = negatives / (catalog_size - 1) and b = a (t (1 - 1/a) + 1/a), the loss is
    -(b log sigmoid(s+) + sum log(1 - sigmoid(s-))) / (negatives + 1).

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1.
        items: float (catalog_size, dim).
        bias: float (catalog_size,).
        negatives: Draws that the batch shares, with replacement; those that are the target itself do not count.
        calibration: t, from 0 (plain binary cross-entropy) to 1 (fully calibrated).
        seed: int (2,).
        known: As in `softmax`.

    Returns:
        float32 (batch, places).

    Reference:
        Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
        Sampling, RecSys 2023, section 5.
    """
    catalog_size = items.shape[0]
    drawn = tf.random.stateless_uniform((negatives,), seed, maxval=catalog_size, dtype=tf.int32)
    share = min(negatives / (catalog_size - 1), 1.0)
    power = share * (calibration * (1.0 - 1.0 / share) + 1.0 / share)
    own, other = _logits(queries, targets, drawn, items, bias)
    wrong = tf.where(_is_negative(drawn, targets, known), tf.math.softplus(other), 0.0)
    return (power * tf.math.softplus(-own) + tf.reduce_sum(wrong, axis=-1)) / (negatives + 1.0)


def _logits(
    queries: tf.Tensor, targets: tf.Tensor, drawn: tf.Tensor, items: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of the targets (batch, places) and of the shared negatives (batch, places, negatives), float32."""
    own = tf.reduce_sum(queries * tf.gather(items, targets), axis=-1) + tf.gather(bias, targets)
    other = tf.einsum("bpd,nd->bpn", queries, tf.gather(items, drawn)) + tf.gather(bias, drawn)
    return tf.cast(own, tf.float32), tf.cast(other, tf.float32)


def _is_negative(drawn: tf.Tensor, targets: tf.Tensor, known: tf.Tensor | None) -> tf.Tensor:
    """Which draws count as negatives of which targets: bool, to be broadcast to (batch, places, negatives)."""
    if known is None:
        return targets[..., None] != drawn
    # Comparing costs batch x m x negatives; a mask over the catalogue would grow with it.
    known = tf.concat([known, targets], axis=1)
    return tf.reduce_all(known[..., None] != drawn, axis=1)[:, None]


def _columns(known: tf.Tensor, catalog_size: int) -> tf.Tensor:
    """Bool (batch, catalog_size), True at the columns of a row; negative numbers are left out."""
    rows = tf.broadcast_to(tf.range(tf.shape(known)[0])[:, None], tf.shape(known))
    # One column before the first takes what is left out.
    at = tf.stack([rows, tf.maximum(known, -1) + 1], axis=-1)
    empty = tf.zeros((tf.shape(known)[0], 1 + catalog_size), tf.bool)
    return tf.tensor_scatter_nd_update(empty, at, tf.ones_like(known, tf.bool))[:, 1:]

"""Losses of a target among the catalogue, from queries and item vectors: full softmax, sampled softmax, gBCE.

All take the queries and targets of a batch of histories and the table of item vectors, and return one loss a target;
what is averaged, and with which weights, is the model's business. The sampled ones cost targets x negatives instead of
targets x catalogue: given the table as a variable, they read the rows of targets and negatives alone, and its gradient
is sparse. Losses are computed in float32.

Each can leave a row's known items out of its negatives. A ranking that filters seen items never compares the target
with them, and a model that reads only a part of a history cannot tell them apart: counted as negatives, they teach it
that what most users have seen already is unlikely for everyone.

Places without a target have a negative number there. Their loss is a number without meaning, for a weight of 0; they
leave nothing out of the negatives of others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrec_zoo.samplers import log_uniform


def softmax(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    known: tf.Tensor | None = None,
    first_row: int = 0,
) -> tf.Tensor:
    """Negative log-likelihood under the softmax over the whole catalogue.

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1; negative numbers stand for none.
        items: float32 (first_row + catalog_size, dim).
        bias: float32 (catalog_size,).
        known: int32 (batch, m), columns that are no negatives of the row's targets; negative numbers stand for none.
            The row's other targets are then none either.
        first_row: Row of the table where column 0 is.

    Returns:
        float32 (batch, places).
    """
    queries, table, bias = tf.cast(queries, tf.float32), tf.convert_to_tensor(items), tf.convert_to_tensor(bias)
    table = table[first_row:]
    logits, columns = tf.einsum("bpd,nd->bpn", queries, table) + bias, tf.maximum(targets, 0)
    if known is None:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(columns, logits)
    # Taken from the logits, they would cost one more gradient of all logits.
    own = tf.reduce_sum(queries * tf.gather(table, columns), axis=-1) + tf.gather(bias, columns)
    excluded = mark_columns(tf.concat([known, targets], axis=1), table.shape[0])
    return _softmax_beside(logits, own, excluded)


def sampled_softmax(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    negatives: int,
    seed: tf.Tensor,
    known: tf.Tensor | None = None,
    first_row: int = 0,
) -> tf.Tensor:
    """Softmax over the target and negatives that the batch shares, drawn log-uniformly, with logQ correction.

    log(negatives x probability) is subtracted from a negative's logit, so that the sum over negatives estimates the
    sum over the catalogue; negatives that are the target itself are left out.

    Args:
        queries: float (batch, places, dim).
        targets: As in `softmax`.
        items: float32 (first_row + catalog_size, dim).
        bias: float32 (catalog_size,).
        negatives: Draws, with replacement.
        seed: int (2,).
        known: As in `softmax`.
        first_row: As in `softmax`.

    Returns:
        float32 (batch, places).

    Reference:
        Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
        Model, IEEE Transactions on Neural Networks 2008.
    """
    catalog_size = bias.shape[0]
    drawn = log_uniform.sample(negatives, catalog_size, seed)
    expected = tf.math.log(float(negatives)) + log_uniform.log_probability(drawn, catalog_size)
    own, other = _logits(queries, targets, drawn, items, bias, first_row)
    other = tf.where(_is_negative(drawn, targets, known), other - expected, other.dtype.min)
    return tf.reduce_logsumexp(tf.concat([own[..., None], other], axis=-1), axis=-1) - own


def gbce(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    negatives: int,
    calibration: float,
    seed: tf.Tensor,
    known: tf.Tensor | None = None,
    first_row: int = 0,
) -> tf.Tensor:
    """Generalised binary cross-entropy: uniform negatives without the overconfidence that they bring.

    With b of `gbce_power`, the loss is -(b log sigmoid(s+) + sum log(1 - sigmoid(s-))) / (negatives + 1).

    Args:
        queries: float (batch, places, dim).
        targets: As in `softmax`.
        items: float32 (first_row + catalog_size, dim).
        bias: float32 (catalog_size,).
        negatives: Draws that the batch shares, with replacement; those that are the target itself do not count.
        calibration: t, from 0 (plain binary cross-entropy) to 1 (fully calibrated).
        seed: int (2,).
        known: As in `softmax`.
        first_row: As in `softmax`.

    Returns:
        float32 (batch, places).

    Reference:
        Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
        Sampling, RecSys 2023, section 5.
    """
    catalog_size = bias.shape[0]
    drawn = tf.random.stateless_uniform((negatives,), seed, maxval=catalog_size, dtype=tf.int32)
    power = gbce_power(negatives, catalog_size, calibration)
    own, other = _logits(queries, targets, drawn, items, bias, first_row)
    wrong = tf.where(_is_negative(drawn, targets, known), tf.math.softplus(other), 0.0)
    return (power * tf.math.softplus(-own) + tf.reduce_sum(wrong, axis=-1)) / (negatives + 1.0)


def gbce_power(negatives: int, catalog_size: int, calibration: float) -> float:
    """Weight of the positives: b = a (t (1 - 1/a) + 1/a), with a = negatives / (catalog_size - 1) and t of `gbce`."""
    share = min(negatives / max(catalog_size - 1, 1), 1.0)
    return share * (calibration * (1.0 - 1.0 / share) + 1.0 / share)


@tf.custom_gradient
def _softmax_beside(logits: tf.Tensor, own: tf.Tensor, excluded: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """-log(exp(own) / (exp(own) + sum(exp(logits)))), the sum over the columns that are not excluded.

    Automatic differentiation would walk the logits twice as often, which is most of what the loss costs.

    Args:
        logits: float32 (batch, places, catalog_size).
        own: float32 (batch, places).
        excluded: bool (batch, catalog_size).

    Returns:
        float32 (batch, places).
    """
    others = tf.where(excluded[:, None], logits.dtype.min, logits)
    largest = tf.reduce_max(others, axis=-1, keepdims=True)
    shares = tf.exp(others - largest)
    total = tf.reduce_sum(shares, axis=-1, keepdims=True)
    odds = (largest + tf.math.log(total))[..., 0] - own

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        of_odds = tf.sigmoid(odds) * upstream
        return shares * (of_odds[..., None] / total), -of_odds, None

    return tf.math.softplus(odds), gradient


def _logits(
    queries: tf.Tensor,
    targets: tf.Tensor,
    drawn: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    first_row: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of the targets (batch, places) and of the shared negatives (batch, places, negatives), float32."""
    queries = tf.cast(queries, tf.float32)

    def rows(columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.nn.embedding_lookup(items, columns + first_row), tf.nn.embedding_lookup(bias, columns)

    (right, right_bias), (wrong, wrong_bias) = rows(tf.maximum(targets, 0)), rows(drawn)
    return tf.reduce_sum(queries * right, axis=-1) + right_bias, tf.einsum("bpd,nd->bpn", queries, wrong) + wrong_bias


def _is_negative(drawn: tf.Tensor, targets: tf.Tensor, known: tf.Tensor | None) -> tf.Tensor:
    """Which draws count as negatives of which targets: bool, to be broadcast to (batch, places, negatives)."""
    if known is None:
        return targets[..., None] != drawn
    # Comparing costs batch x m x negatives; a mask over the catalogue would grow with it.
    known = tf.concat([known, targets], axis=1)
    return tf.reduce_all(known[..., None] != drawn, axis=1)[:, None]


def mark_columns(columns: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Marks the columns of every row.

    Args:
        columns: int32 (batch, m); numbers that are no column are left out.
        size: Number of columns.

    Returns:
        bool (batch, size).
    """
    rows = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, None], tf.shape(columns))
    # One column before the first takes what is left out.
    inside = tf.where((columns >= 0) & (columns < size), columns, -1) + 1
    empty = tf.zeros((tf.shape(columns)[0], 1 + size), tf.bool)
    at = tf.stack([rows, inside], axis=-1)
    return tf.tensor_scatter_nd_update(empty, at, tf.ones_like(columns, tf.bool))[:, 1:]

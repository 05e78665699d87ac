"""Diversified prediction: what parts of a history ask for, instead of what the whole of it asks for most."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.preprocessing.history import right_align, seed_of
from tfrec_zoo.preprocessing.seen import leave_out

CONTIGUOUS, RANDOM = 4, 4
"""Sub-sequences: a history is cut into so many pieces, and thinned out by half so many times."""
POPULARITY_DISCOUNT = 0.6
"""Share of an item's log popularity that is taken from its score for a part. A part says less than the whole, so that a
model falls back to what everybody likes; without the discount the lists of all users grow alike."""


class DiversifiedScorer:
    """Scores the catalogue so that its best items are a diversified list, for an evaluation of such lists.

    A history is its own seed: the same one gives the same list, whatever else is in the batch.

    Args:
        score: Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalogue).
        log_popularity: float32 (catalogue,), logarithm of an item's share of the train events.
        wanted: Items of a list. What an evaluation leaves out of it afterwards makes it shorter, so ask for some more.
    """

    def __init__(self, score: Callable[[tf.Tensor], tf.Tensor], log_popularity: tf.Tensor, wanted: int) -> None:
        self._score, self._log_popularity, self._wanted = score, log_popularity, wanted

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalogue): the list first."""
        scores = self._score(history)
        whole, seed = leave_out(scores, history), seed_of(history)
        columns = diverse_columns(self._score, self._log_popularity, history, history, whole, seed, self._wanted)
        # Places count down to 1 along the list; all others follow in their order below 0.
        rest = scores - tf.reduce_max(scores, axis=1, keepdims=True) - 1.0
        row, place = tf.unstack(tf.where(columns >= 0), axis=1)
        column = tf.cast(tf.gather_nd(columns, tf.stack([row, place], axis=1)), tf.int64)
        down = tf.cast(columns.shape[1] - place, rest.dtype)
        return tf.tensor_scatter_nd_update(rest, tf.stack([row, column], axis=1), down)


def diverse_columns(
    score: Callable[[tf.Tensor], tf.Tensor],
    log_popularity: tf.Tensor,
    item_ids: tf.Tensor,
    seen: tf.Tensor,
    whole: tf.Tensor,
    seed: tf.Tensor,
    max_k: int,
) -> tf.Tensor:
    """Columns of the recommended items, int32 (batch, at most max_k), -1 where there are fewer.

    Args:
        score: Scores int32 histories (batch, n) as float32 (batch, catalogue).
        log_popularity: float32 (catalogue,), logarithm of an item's share of the train events.
        item_ids: int32 (batch, length), right-aligned.
        seen: int32 (batch, m), items to leave out.
        whole: float32 (batch, catalogue), the scores of the whole history without them.
        seed: int64 (batch,).
        max_k: Wanted columns.
    """
    length, count = tf.shape(item_ids)[1], CONTIGUOUS + RANDOM
    scores = score(tf.reshape(_parts(item_ids, seed), [-1, length])) - POPULARITY_DISCOUNT * log_popularity
    scores = leave_out(scores, tf.repeat(seen, count, axis=0))
    each, wanted = min(whole.shape[1], math.ceil(2 * max_k / count)), min(whole.shape[1], max_k)
    columns = tf.reshape(_best_columns(scores, each), [-1, count * each])
    # A draw below 1 added to the place within the part: shuffled among equals only.
    place = tf.tile(tf.range(each, dtype=tf.float32), [count])
    order = tf.argsort(place + _uniform(seed, 1, count * each), axis=1)
    columns = tf.concat([tf.gather(columns, order, batch_dims=1), _best_columns(whole, wanted)], axis=1)
    equal = columns[:, :, None] == columns[:, None, :]
    earlier = tf.linalg.band_part(tf.ones(equal.shape[1:], tf.bool), -1, 0) & ~tf.eye(equal.shape[1], dtype=tf.bool)
    columns = tf.where(tf.reduce_any(equal & earlier, axis=2), -1, columns)
    first = tf.argsort(tf.cast(columns < 0, tf.int32), axis=1, stable=True)[:, :wanted]
    return tf.gather(columns, first, batch_dims=1)


def _best_columns(scores: tf.Tensor, count: int) -> tf.Tensor:
    top, columns = tf.math.top_k(scores, count)
    return tf.where(tf.math.is_finite(top), columns, -1)


def _parts(item_ids: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Sub-sequences of histories: int32 (batch, CONTIGUOUS + RANDOM, length), right-aligned."""
    length = tf.shape(item_ids)[1]
    real = item_ids != PAD
    known = tf.reduce_sum(tf.cast(real, tf.int32), axis=1, keepdims=True)
    place = tf.range(length)[None] - (length - known)  # from 0 at the oldest item
    piece = place * CONTIGUOUS // tf.maximum(known, 1)
    masks = [piece == number for number in range(CONTIGUOUS)]
    # Drawn from the newest item on, so that more padding on the left changes nothing.
    draws = tf.reshape(_uniform(seed, 0, length * RANDOM), [-1, length, RANDOM])[:, ::-1]
    masks += [draws[:, :, number] < 0.5 for number in range(RANDOM)]
    chosen = tf.stack(masks, axis=1) & real[:, None]
    chosen |= ~tf.reduce_any(chosen, axis=2, keepdims=True)
    parts = tf.where(chosen, item_ids[:, None], PAD)
    return tf.reshape(right_align(tf.reshape(parts, [-1, length])), tf.shape(parts))


def _uniform(seed: tf.Tensor, stream: int, count: tf.Tensor | int) -> tf.Tensor:
    """Draws from [0, 1), float32 (batch, count), each row by its own seed alone."""
    return tf.map_fn(
        lambda each: tf.random.stateless_uniform([count], tf.stack([each, tf.constant(stream, tf.int64)])),
        seed,
        fn_output_signature=tf.TensorSpec((count if isinstance(count, int) else None,), tf.float32),
    )

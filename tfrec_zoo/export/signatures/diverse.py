"""Signature `recommend_diverse`: what parts of a history ask for, instead of what the whole of it asks for most."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import best
from tfrec_zoo.preprocessing.history import right_align
from tfrec_zoo.preprocessing.seen import leave_out

CONTIGUOUS, RANDOM = 4, 4
"""Sub-sequences: a history is cut into so many pieces, and thinned out by half so many times."""


def recommend_diverse(scorer: CatalogueScorer, history: tf.Tensor, seed: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks the catalogue by parts of a history: the best of each, shuffled place by place, repeats left out.

    The first places hold the best item of every part in random order, the next ones the second best, so that a client
    may take any k; where the parts agree on fewer items than asked for, the best for the whole history follow. A part
    without items stands for the whole history.

    Args:
        scorer: The model's scores.
        history: string (batch, length), raw item ids, oldest first, "" where there is nothing; unknown ids are ignored.
        seed: int64 (batch,); the same seed and history give the same answer.
        max_k: Columns of the answer.

    Returns:
        As of `recommend`, in the shuffled order; `scores` are those of the whole history.
    """
    known = scorer.vocabulary.ids(history)
    item_ids = scorer.history(known)
    scores, fallback = leave_out(scorer(known), known), scorer.fallback(known)
    chosen = diverse_columns(scorer, item_ids, known, scores, seed, max_k)
    popular = best(scorer.vocabulary, scores, fallback, max_k)
    missing = [[0, 0], [0, max_k - chosen.shape[1]]]
    ids = tf.pad(chosen + FIRST_ITEM_ID, missing)
    own = tf.gather(scores, tf.maximum(chosen, 0), batch_dims=1)
    own = tf.pad(tf.where(chosen >= 0, own, tf.float32.min), missing, constant_values=tf.float32.min)
    raw_ids = tf.where(ids >= FIRST_ITEM_ID, scorer.vocabulary.raw_ids(ids), "")
    return {
        "item_ids": tf.where(fallback[:, None], popular["item_ids"], raw_ids),
        "scores": tf.where(fallback[:, None], popular["scores"], own),
        "fallback": fallback,
    }


def diverse_columns(
    score: Callable[[tf.Tensor], tf.Tensor],
    item_ids: tf.Tensor,
    seen: tf.Tensor,
    whole: tf.Tensor,
    seed: tf.Tensor,
    max_k: int,
) -> tf.Tensor:
    """Columns of the recommended items, int32 (batch, at most max_k), -1 where there are fewer.

    Args:
        score: Scores int32 histories (batch, n) as float32 (batch, catalogue).
        item_ids: int32 (batch, length), right-aligned.
        seen: int32 (batch, m), items to leave out.
        whole: float32 (batch, catalogue), the scores of the whole history without them.
        seed: int64 (batch,).
        max_k: Wanted columns.
    """
    length, count = tf.shape(item_ids)[1], CONTIGUOUS + RANDOM
    scores = leave_out(score(tf.reshape(_parts(item_ids, seed), [-1, length])), tf.repeat(seen, count, axis=0))
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

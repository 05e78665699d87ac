"""Signatures `recommend` and `recommend_filtered`: raw history in, the best items out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD
from tfrec_zoo.export.signatures.catalogue import LOWEST, CatalogueScorer
from tfrec_zoo.preprocessing.seen import leave_out
from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary


def best(vocabulary: ItemVocabulary, scores: tf.Tensor, fallback: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks scores.

    Args:
        vocabulary: The items' raw ids.
        scores: float32 (batch, catalogue), minus infinity where an item is left out.
        fallback: bool (batch,), goes into the answer.
        max_k: Columns of the answer; a client takes the first k.

    Returns:
        item_ids: string (batch, max_k), best first, "" where fewer items are left.
        scores: float32 (batch, max_k), the lowest finite float at "".
        fallback: As given.
    """
    top, columns = tf.math.top_k(scores, k=min(max_k, scores.shape[1]))
    missing = [[0, 0], [0, max_k - top.shape[1]]]
    return ranked(vocabulary, tf.pad(top, missing, constant_values=float("-inf")), tf.pad(columns, missing), fallback)


def ranked(
    vocabulary: ItemVocabulary, scores: tf.Tensor, columns: tf.Tensor, fallback: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The answer for items that are ranked already.

    Args:
        vocabulary: The items' raw ids.
        scores: float32 (batch, max_k), best first, minus infinity where there is no item.
        columns: int32 (batch, max_k), of the catalogue.
        fallback: bool (batch,).

    Returns:
        As of `best`.
    """
    filled = tf.math.is_finite(scores)
    return {
        "item_ids": tf.where(filled, vocabulary.raw_ids(columns + FIRST_ITEM_ID), ""),
        "scores": tf.where(filled, scores, LOWEST),
        "fallback": fallback,
    }


def recommend(scorer: CatalogueScorer, item_ids: tf.Tensor, seen: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks the catalogue without the items that a user has seen.

    Args:
        scorer: The model's scores.
        item_ids: int32 (batch, length), the history, oldest first; PAD where there is nothing, OOV where it is unknown.
        seen: int32 (batch, n), items to leave out.
        max_k: Columns of the answer.

    Returns:
        As of `best`; `fallback` is True where no item of the history is known and the popular items are given.
    """
    return best(scorer.vocabulary, leave_out(scorer(item_ids), seen), scorer.fallback(item_ids), max_k)


def recommend_filtered(
    scorer: CatalogueScorer,
    history: tf.Tensor,
    exclude: tf.Tensor,
    exclude_seen: tf.Tensor,
    allow: tf.Tensor,
    max_k: int,
) -> dict[str, tf.Tensor]:
    """Ranks a part of the catalogue.

    Args:
        scorer: The model's scores.
        history: string (batch, length), raw item ids, oldest first, "" where there is nothing; unknown ids are ignored.
        exclude: string (batch, m), raw ids of items to leave out.
        exclude_seen: bool (batch,), whether to leave out the history's items too.
        allow: string (batch, n), raw ids of the only items to rank; a row of all "" allows every item.
        max_k: Columns of the answer.

    Returns:
        As of `recommend`.
    """
    ids = scorer.vocabulary.ids
    item_ids = ids(history)
    scores = leave_out(scorer(item_ids), ids(exclude))
    scores = leave_out(scores, tf.where(exclude_seen[:, None], item_ids, PAD))
    # What leaving out would remove is what is allowed.
    allowed = tf.math.is_inf(leave_out(tf.zeros_like(scores), ids(allow)))
    everything = tf.reduce_all(allow == "", axis=1)
    scores = tf.where(everything[:, None] | allowed, scores, float("-inf"))
    return best(scorer.vocabulary, scores, scorer.fallback(item_ids), max_k)

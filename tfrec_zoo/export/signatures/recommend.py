"""Signature `recommend`: raw history in, the best unseen items out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.export.signatures.catalogue import LOWEST, CatalogueScorer
from tfrec_zoo.preprocessing.seen import leave_out


def recommend(scorer: CatalogueScorer, history: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks the catalogue without the items of the history.

    Args:
        scorer: The model's scores.
        history: string (batch, length), raw item ids, oldest first, "" where there is nothing; unknown ids are ignored.
        max_k: Columns of the answer; a client takes the first k.

    Returns:
        item_ids: string (batch, max_k), best first, "" where fewer items are left.
        scores: float32 (batch, max_k), the lowest finite float at "".
        fallback: bool (batch,), True where no item of the history is known and the popular items are given.
    """
    scores, seen, fallback = scorer(history)
    scores = leave_out(scores, seen)
    best, columns = tf.math.top_k(scores, k=min(max_k, scores.shape[1]))
    missing = [[0, 0], [0, max_k - best.shape[1]]]
    best = tf.pad(best, missing, constant_values=float("-inf"))
    ids = tf.pad(columns + FIRST_ITEM_ID, missing)
    ranked = tf.math.is_finite(best)
    return {
        "item_ids": tf.where(ranked, scorer.vocabulary.raw_ids(ids), ""),
        "scores": tf.where(ranked, best, LOWEST),
        "fallback": fallback,
    }

"""Signature `recommend_diverse`: what parts of a history ask for, instead of what the whole of it asks for most."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import best
from tfrec_zoo.models.diversified import diverse_columns
from tfrec_zoo.preprocessing.seen import leave_out


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
    chosen = diverse_columns(scorer, scorer.log_popularity, item_ids, known, scores, seed, max_k)
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

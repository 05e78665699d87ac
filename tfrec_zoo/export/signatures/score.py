"""Signature `score`: raw history and candidates in, a score for each candidate out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.export.signatures.catalogue import LOWEST, CatalogueScorer


def score(scorer: CatalogueScorer, history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
    """Scores given candidates, seen ones too.

    Args:
        scorer: The model's scores.
        history: string (batch, length), raw item ids, oldest first, "" where there is nothing; unknown ids are ignored.
        candidates: string (batch, m), raw item ids.

    Returns:
        scores: float32 (batch, m), those that `recommend` ranks by; the lowest finite float for an unknown candidate.
    """
    scores = scorer(scorer.vocabulary.ids(history))
    columns = scorer.vocabulary.ids(candidates) - FIRST_ITEM_ID
    found = tf.gather(scores, tf.maximum(columns, 0), batch_dims=1)
    return {"scores": tf.where(columns >= 0, found, LOWEST)}

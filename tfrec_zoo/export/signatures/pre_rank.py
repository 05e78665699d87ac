"""Signature `pre_rank`: a user's raw features and candidates in, a score for each candidate out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.export.signature import Tensors
from tfrec_zoo.export.signatures.catalogue import LOWEST
from tfrec_zoo.export.signatures.features import FeatureScorer


def pre_rank(scorer: FeatureScorer, user: Tensors, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
    """Scores given candidates, seen ones too; of an item nothing is computed but its match with the user.

    Args:
        scorer: The model and the encoded items.
        user: Raw features, as `scorer.users.inputs` says.
        candidates: string (batch, m), raw item ids; m may be 0.

    Returns:
        scores: float32 (batch, m), logits; the lowest finite float for a candidate that is not in the catalogue.
    """
    columns = scorer.vocabulary.ids(candidates) - FIRST_ITEM_ID
    scores = scorer.match(scorer.encode_users(scorer.users(user)), tf.maximum(columns, 0))
    return {"scores": tf.where(columns >= 0, scores, LOWEST)}

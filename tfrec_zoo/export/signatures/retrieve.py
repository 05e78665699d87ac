"""Signature `recommend` of two towers: a user's raw features in, the best items of the index out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.export.signature import Tensors
from tfrec_zoo.export.signatures.features import FeatureScorer
from tfrec_zoo.export.signatures.recommend import ranked


def retrieve(scorer: FeatureScorer, user: Tensors, history: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks the catalogue without the items of the history.

    Args:
        scorer: Has an index.
        user: Raw features, as `scorer.users.inputs` says.
        history: string (batch, length), raw item ids, "" where there is nothing; unknown ids are ignored.
        max_k: Columns of the answer.

    Returns:
        As of `recommend`; `fallback` is True where no id, category or item of the history is known, and popular items
        are given.
    """
    assert scorer.index is not None
    features = scorer.users(user)
    fallback = ~scorer.users.is_known(features)
    seen = scorer.vocabulary.ids(history)
    scores, columns = scorer.index.best(scorer.encode_users(features), fallback, seen, max_k)
    return ranked(scorer.vocabulary, scores, columns, fallback)

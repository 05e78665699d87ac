"""Signature `encode`: raw history in, the user's vector out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.export.signatures.catalogue import CatalogueScorer


def encode(scorer: CatalogueScorer, history: tf.Tensor) -> dict[str, tf.Tensor]:
    """Encodes users.

    Args:
        scorer: Holds the model.
        history: string (batch, length), raw item ids, oldest first, "" where there is nothing; unknown ids are ignored.

    Returns:
        vectors: float32 (batch, dim).
    """
    return {"vectors": scorer.encode(scorer.vocabulary.ids(history))}

"""Signatures `encode` and `encode_items` of two towers: raw features of a user or an item in, the vector out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.export.signature import Tensors
from tfrec_zoo.export.signatures.features import FeatureScorer


def encode_users(scorer: FeatureScorer, user: Tensors) -> dict[str, tf.Tensor]:
    """Encodes users.

    Args:
        scorer: Its users have vectors.
        user: Raw features, as `scorer.users.inputs` says.

    Returns:
        vectors: float32 (batch, dim); the product with an item's is the score.
    """
    return {"vectors": scorer.encode_users(scorer.users(user))}


def encode_items(scorer: FeatureScorer, item: Tensors) -> dict[str, tf.Tensor]:
    """Encodes items, whether or not the catalogue has them.

    Args:
        scorer: Its items have vectors.
        item: Raw features, as `scorer.items.inputs` says.

    Returns:
        vectors: float32 (batch, dim).
    """
    return {"vectors": scorer.encode_items(scorer.items(item))}

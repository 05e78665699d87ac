"""Signature `serving_examples`: records of the sequences view, as the Beam job writes them, in; the best items out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import recommend

HISTORY, SEEN = "items", "seen"
_FEATURES = {name: tf.io.VarLenFeature(tf.int64) for name in (HISTORY, SEEN)}


def recommend_examples(
    scorer: CatalogueScorer, examples: tf.Tensor, catalog_size: int, max_k: int
) -> dict[str, tf.Tensor]:
    """Ranks the catalogue for serialized records.

    Args:
        scorer: The model's scores.
        examples: string (batch,), serialized tf.train.Examples with `items`, the ids of the history, oldest first, and
            perhaps `seen`, more ids to leave out. Other features are ignored, ids outside of the catalogue too.
        catalog_size: Items that there are.
        max_k: Columns of the answer.

    Returns:
        As of `recommend`.
    """
    parsed = tf.io.parse_example(examples, _FEATURES)

    def ids(name: str) -> tf.Tensor:
        dense = tf.sparse.to_dense(parsed[name], default_value=PAD)
        inside = (dense >= PAD) & (dense < FIRST_ITEM_ID + catalog_size)
        return tf.cast(tf.where(inside, dense, OOV), tf.int32)

    item_ids = ids(HISTORY)
    return recommend(scorer, item_ids, tf.concat([item_ids, ids(SEEN)], axis=1), max_k)

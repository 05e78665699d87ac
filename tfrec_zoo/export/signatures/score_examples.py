"""Signature `serving_examples` of models of features: records of the view `interactions` in, a score of each out."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD
from tfrec_zoo.export.signatures.features import FeatureScorer
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, COUNT, HISTORY, NUMBER, FeatureColumn
from tfrec_zoo.preprocessing.history import right_align


def score_examples(scorer: FeatureScorer, examples: tf.Tensor) -> dict[str, tf.Tensor]:
    """Scores records.

    Args:
        scorer: The model.
        examples: string (batch,), as of `logits_of`.

    Returns:
        scores: float32 (batch,), of the user and the item of each record.
    """
    return {"scores": logits_of(scorer, examples)}


def logits_of(scorer: FeatureScorer, examples: tf.Tensor) -> tf.Tensor:
    """Scores records: float32 (batch,).

    Args:
        scorer: The model.
        examples: string (batch,), serialized tf.train.Examples as the Beam job writes them: ids that it looked up,
            numbers that it scaled. A feature that a record lacks is one of which nothing is known; other features are
            ignored, ids outside of a vocabulary are unknown.
    """
    columns = (*scorer.users.columns, *scorer.items.columns)
    parsed = tf.io.parse_example(examples, {column.name: _parser(column, scorer.mean_label) for column in columns})
    return scorer.logits({column.name: _feature(column, parsed[column.name]) for column in columns})


def _parser(column: FeatureColumn, mean_label: float) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    if column.kind == CATEGORY:
        return tf.io.FixedLenFeature((), tf.int64, OOV)
    if column.kind == COUNT:
        return tf.io.FixedLenFeature((), tf.int64, 0)
    if column.kind == NUMBER:
        return tf.io.FixedLenFeature((), tf.float32, mean_label if column.mean is None else 0.0)
    return tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)


def _feature(column: FeatureColumn, value: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    if column.vocabulary is None:
        return value
    ids = value.to_tensor(PAD) if isinstance(value, tf.RaggedTensor) else value
    inside = (ids >= PAD) & (ids < FIRST_ITEM_ID + (column.values or 0))
    ids = tf.cast(tf.where(inside, ids, OOV), tf.int32)
    return right_align(ids) if column.kind == HISTORY else ids

"""Signature `classify`: records of the view `interactions` in, the probabilities of both labels out.

For the Classify API of TensorFlow Serving, which fixes the names of inputs and outputs.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.export.signatures.features import FeatureScorer
from tfrec_zoo.export.signatures.score_examples import logits_of


def classify(scorer: FeatureScorer, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tells how likely either label is.

    Args:
        scorer: A model of labels.
        inputs: string (batch,), records as of `logits_of`.

    Returns:
        classes: string (batch, 2), "0" and "1".
        scores: float32 (batch, 2), their probabilities.
    """
    logits = logits_of(scorer, inputs)
    return {
        "classes": tf.tile(tf.constant([["0", "1"]]), [tf.shape(logits)[0], 1]),
        "scores": tf.sigmoid(tf.stack([-logits, logits], axis=1)),
    }

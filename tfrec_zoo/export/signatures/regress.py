"""Signature `regress`: records of the view `interactions` in, the probability of label 1 out.

For the Regress API of TensorFlow Serving, which fixes the names of input and output.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.export.signatures.features import FeatureScorer
from tfrec_zoo.export.signatures.score_examples import logits_of


def regress(scorer: FeatureScorer, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tells how likely label 1 is.

    Args:
        scorer: A model of labels.
        inputs: string (batch,), records as of `logits_of`.

    Returns:
        outputs: float32 (batch,), probabilities.
    """
    return {"outputs": tf.sigmoid(logits_of(scorer, inputs))}

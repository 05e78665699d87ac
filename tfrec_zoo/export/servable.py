"""A trained model as a SavedModel for TensorFlow Serving: the signatures that its capabilities allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import recommend
from tfrec_zoo.export.signatures.score import score
from tfrec_zoo.models.recommender import SCORES_CATALOGUE, Recommender

DEFAULT_SIGNATURE = "serving_default"


class Servable(tf.Module):
    """Signatures of a model over raw string ids; every input has the batch as its first axis.

    Args:
        model: The trained model.
        spec: The dataset that it was trained on: its vocabulary and popularity go into the graph.
        max_k: Width of the answers of `recommend`.

    Attributes:
        functions: Signature name -> tf.function with named inputs; `serving_default` is `recommend`.

    Raises:
        ExportError: The model has no capability that a signature needs.
    """

    def __init__(self, model: Recommender, spec: DatasetSpec, max_k: int) -> None:
        super().__init__()
        if SCORES_CATALOGUE not in model.capabilities:
            raise ExportError(
                f"{model.name_in_zoo} offers nothing to serve: no signature fits {set(model.capabilities)}."
            )
        self._scorer = scorer = CatalogueScorer(model, spec)

        def texts(name: str) -> tf.TensorSpec:
            return tf.TensorSpec((None, None), tf.string, name=name)

        @tf.function(input_signature=[texts("history")])
        def recommend_signature(history: tf.Tensor) -> dict[str, tf.Tensor]:
            return recommend(scorer, history, max_k)

        @tf.function(input_signature=[texts("history"), texts("candidates")])
        def score_signature(history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
            return score(scorer, history, candidates)

        self.functions: Mapping[str, Any] = {
            DEFAULT_SIGNATURE: recommend_signature,
            "recommend": recommend_signature,
            "score": score_signature,
        }

    def save(self, directory: str) -> None:
        """Writes the SavedModel; without optimizer slots, the vocabulary among its assets."""
        tf.saved_model.save(self, directory, signatures=dict(self.functions))

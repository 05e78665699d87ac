"""What the signatures over the whole catalogue share: raw histories in, a score for every item out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.preprocessing.history import right_align
from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary

LOWEST = tf.float32.min
"""Score of what cannot be ranked: finite, since -inf has no JSON form."""


class CatalogueScorer(tf.Module):
    """Scores the catalogue for raw histories, by popularity for a user of whom nothing is known.

    The Keras model stays in a closure and its variables are held one by one: a Keras model as an attribute would load
    in Python but not in the Session of TensorFlow Serving.

    Args:
        model: Has the capability `scores_catalogue`.
        spec: The dataset that the model was trained on.
    """

    def __init__(self, model: Recommender, spec: DatasetSpec) -> None:
        super().__init__()
        self.vocabulary = ItemVocabulary(spec.vocabulary_path("item"))
        counts = np.maximum(np.asarray(spec.item_counts, np.float64), 1.0)
        self._popularity = tf.Variable(
            np.log(counts / counts.sum()), dtype=tf.float32, trainable=False, name="popularity"
        )
        self._weights = [variable.value for variable in model.weights]
        self._score = lambda history: tf.cast(model.score(history), tf.float32)

    def __call__(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores raw histories.

        Args:
            history: string (batch, length), oldest first, "" where there is nothing.

        Returns:
            Scores float32 (batch, catalog_size); the history's ids int32 (batch, length); fallback bool (batch,), True
            where no item of the history is known and the scores are log popularity.
        """
        item_ids = self.vocabulary.ids(history)
        fallback = tf.reduce_all(item_ids < FIRST_ITEM_ID, axis=1)
        scores = tf.where(fallback[:, None], self._popularity[None], self._score(right_align(item_ids)))
        return scores, item_ids, fallback

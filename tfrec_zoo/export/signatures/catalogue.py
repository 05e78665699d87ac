"""What the signatures over the whole catalogue share: raw histories in, a score for every item out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.models.continuations import Draws
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.preprocessing.history import right_align
from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary

LOWEST = tf.float32.min
"""Score of what cannot be ranked: finite, since -inf has no JSON form."""


class CatalogueScorer(tf.Module):
    """Scores the catalogue for histories, by popularity for a user of whom nothing is known.

    The Keras model stays in a closure and its variables are held one by one: a Keras model as an attribute would load
    in Python but not in the Session of TensorFlow Serving.

    Args:
        model: Has the capability `scores_catalogue`.
        catalogue: The items: the model's own first, then those with a prior.

    Attributes:
        vocabulary: Raw ids and item ids.
        log_popularity: float32 (catalogue,), logarithm of an item's share of the train events.
    """

    def __init__(self, model: Recommender, catalogue: ItemCatalogue) -> None:
        super().__init__()
        self.vocabulary = ItemVocabulary(catalogue.vocabulary)
        counts = np.maximum(catalogue.counts, 1.0)
        self.log_popularity = tf.Variable(
            np.log(counts / counts.sum()), dtype=tf.float32, trainable=False, name="popularity"
        )
        self._trained = model.catalog_size
        self._neighbours = tf.Variable(catalogue.neighbours, trainable=False, name="neighbours")
        self._has_new_items = catalogue.new_items > 0
        self._weights = [variable.value for variable in model.weights]
        self._score = lambda history: tf.cast(model.score(history), tf.float32)
        self._encode = lambda history: tf.cast(model.encode(history), tf.float32)
        self._write_on = model.write_on

    def history(self, item_ids: tf.Tensor) -> tf.Tensor:
        """What the model reads of item ids: those that it was trained on, right-aligned; int32 (batch, length)."""
        return right_align(tf.where(item_ids < FIRST_ITEM_ID + self._trained, item_ids, OOV))

    def __call__(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Scores histories.

        Args:
            item_ids: int32 (batch, length), oldest first; reserved ids anywhere.

        Returns:
            float32 (batch, catalogue); log popularity where `fallback` is True.
        """
        scores = self._score(self.history(item_ids))
        if self._has_new_items:
            prior = tf.reduce_mean(tf.gather(scores, self._neighbours, axis=1), axis=2)
            scores = tf.concat([scores, prior], axis=1)
        return tf.where(self.fallback(item_ids)[:, None], self.log_popularity[None], scores)

    def encode(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Encodes histories: float32 (batch, dim)."""
        return self._encode(self.history(item_ids))

    def write_on(self, item_ids: tf.Tensor, draws: Draws, scores: tf.Tensor) -> tf.Tensor:
        """Draws how histories may go on, for a model that generates: int32 (batch, largest n, largest length).

        Args:
            item_ids: As of `__call__`.
            draws: What to draw.
            scores: What `__call__` gives for them; the first items are drawn by it.
        """
        return self._write_on(self.history(item_ids), draws, scores[:, : self._trained])

    def fallback(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Where the model knows no item of a history: bool (batch,)."""
        return tf.reduce_all((item_ids < FIRST_ITEM_ID) | (item_ids >= FIRST_ITEM_ID + self._trained), axis=1)

"""What the signatures of models of features share: raw features in, encodings of users and items, their match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.catalogue_matching import in_parts
from tfrec_zoo.export.catalogue_features import catalogue_inputs
from tfrec_zoo.export.drawn_index import DrawnIndex
from tfrec_zoo.export.index import ItemIndex
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.signature import Tensors
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.recommender import DRAWS_ITEMS, ENCODES_ITEMS
from tfrec_zoo.preprocessing.feature_columns import ITEM, FeatureColumn, to_inputs
from tfrec_zoo.preprocessing.feature_lookup import FeatureLookup
from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary, Vocabulary

_ITEMS_AT_ONCE = 4096


class FeatureScorer(tf.Module):
    """A model of features over raw values, with the encodings of all items in it.

    The items are encoded once, here; a request encodes its user and gathers its candidates. As in `CatalogueScorer`,
    the Keras model stays in a closure and its variables are held one by one.

    Args:
        model: The model.
        catalogue: The items; those that it was not trained on are encoded with the row of the unknown item and the
            features that their dataset gives them.

    Attributes:
        vocabulary: The catalogue's items.
        users, items: The look-ups of either side.
        index: Of the item vectors, if items have vectors; else None.

    Raises:
        DataError: The dataset has no view `items`, or its items lack a feature of the model's.
        ExportError: A newer dataset has a feature in another form.
    """

    def __init__(self, model: FeatureRecommender, catalogue: ItemCatalogue) -> None:
        super().__init__()
        spec, columns = catalogue.dataset, (*model.columns.user, *model.columns.item)
        self.vocabulary = ItemVocabulary(catalogue.vocabulary)
        others = {column.vocabulary for column in columns if column.vocabulary and column.values} - {ITEM}
        vocabularies = {ITEM: self.vocabulary} | {
            name: Vocabulary(spec.vocabulary_path(name)) for name in sorted(others)
        }
        self.mean_label = _mean_label(spec)

        def look_up(side: Sequence[FeatureColumn]) -> FeatureLookup:
            return FeatureLookup(side, vocabularies, spec.options.get("multi", {}), self.mean_label)

        self.users, self.items = look_up(model.columns.user), look_up(model.columns.item)
        self._weights = [variable.value for variable in model.weights]
        self._model = lambda: model
        encoded = _encoded(model, catalogue_inputs(model, catalogue, self.items))
        self.index: ItemIndex | DrawnIndex | None = None
        if DRAWS_ITEMS in model.capabilities:
            self.index = DrawnIndex(encoded, catalogue.counts, model.match_all)
        elif ENCODES_ITEMS in model.capabilities:
            self.index = ItemIndex(encoded, catalogue.counts)
        if self.index is None:
            self._encoded_items = tf.nest.map_structure(lambda values: tf.Variable(values, trainable=False), encoded)

    @property
    def model(self) -> FeatureRecommender:
        """The live model."""
        return self._model()

    def encode_users(self, features: Tensors) -> Any:
        """Encodes users: what `users` looked up (batch, ...) -> nested float (batch, ...)."""
        return self.model.encode_users(self._inputs(features, self.users), training=False)

    def encode_items(self, features: Tensors) -> Any:
        """Encodes items: what `items` looked up (batch, ...) -> nested float (batch, ...)."""
        return self.model.encode_items(self._inputs(features, self.items), training=False)

    def match(self, users: Any, columns: tf.Tensor) -> tf.Tensor:
        """Scores items of the catalogue.

        Args:
            users: What `encode_users` gave, (batch, ...).
            columns: int32 (batch, m), columns of the catalogue.

        Returns:
            float32 (batch, m): logits.
        """
        if isinstance(self.index, DrawnIndex):
            # As `recommend` scores them, whatever else is asked for.
            return tf.gather(self.index.scores(users), columns, batch_dims=1)
        if self.index is not None:
            items = self.index.vectors(columns)
        else:
            items = tf.nest.map_structure(lambda values: tf.gather(values, columns), self._encoded_items)
        return tf.cast(self.model.match(users, items, training=False), tf.float32)

    def logits(self, features: Tensors) -> tf.Tensor:
        """Logits of users and items side by side, with looked-up features of both: float32 (batch,)."""
        inputs = {**self._inputs(features, self.users), **self._inputs(features, self.items)}
        return tf.cast(self.model(inputs, training=False), tf.float32)

    def _inputs(self, features: Tensors, side: FeatureLookup) -> dict[str, tf.Tensor]:
        return to_inputs(features, side.columns, self.model.history_length)


def _encoded(model: FeatureRecommender, inputs: dict[str, np.ndarray]) -> Any:
    """Encodings of all items, nested arrays (items, ...)."""
    encode = tf.function(lambda part: model.encode_items(part, training=False), reduce_retracing=True)
    parts = [encode(part) for part in in_parts(inputs, _ITEMS_AT_ONCE)]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _mean_label(spec: DatasetSpec) -> float:
    """Mean label of the train rows: what the Beam job writes for a user or an item without any; 0 without labels."""
    names = ["item_count", "item_mean_label"]
    if not set(names) <= set(spec.features.get("items", {})):
        return 0.0
    rows, total = 0, 0.0
    for batch in records.explained(item_batches(spec, _ITEMS_AT_ONCE, features=names), spec):
        counts, means = (batch[name].numpy() for name in names)
        rows += int(counts.sum())
        # Labels are whole numbers, so their sums are too.
        total += float(np.rint(counts * means.astype(np.float64)).sum())
    return total / max(rows, 1)

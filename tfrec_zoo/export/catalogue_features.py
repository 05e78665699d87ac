"""The features of a catalogue's items as a model reads them, those of a newer dataset in the model's own terms."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.items import VIEW, item_batches
from tfrec_zoo.data.raw_features import RawFeatures
from tfrec_zoo.data.rows import chosen_features
from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.evaluation.catalogue_matching import item_inputs, joined
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.preprocessing.feature_columns import ITEM, FeatureColumn, to_inputs
from tfrec_zoo.preprocessing.feature_lookup import FeatureLookup

_ITEMS_AT_ONCE = 4096


def catalogue_inputs(
    model: FeatureRecommender, catalogue: ItemCatalogue, look_up: FeatureLookup
) -> dict[str, np.ndarray]:
    """The columns of all items of a catalogue: row j is the item of column j.

    An item that the newer dataset knows has the features that it has there, counts and mean labels included; the
    vocabularies and scales of that dataset are undone, and those of the model's put in their place.

    Args:
        model: Its item columns are read.
        catalogue: The items.
        look_up: Of the model's item columns.

    Raises:
        DataError: A dataset has no view `items`, or its items lack a feature of the model's.
        ExportError: The newer dataset has a feature in another form.
    """
    inputs, newer = item_inputs(model, catalogue.dataset), catalogue.newer
    if newer is None:
        return inputs
    features = item_features(newer, model.columns.item)
    for column in model.columns.item:
        _check_form(column, features[column.name], newer)
    raw_features, parts = RawFeatures(newer, features, model.columns.item), []
    names = [column.name for column in model.columns.item if column.name != ITEM]
    for batch in records.explained(item_batches(newer, _ITEMS_AT_ONCE, features=["id", *names]), newer):
        raw = raw_features({**batch, ITEM: batch["id"]})
        looked_up = look_up({name: tf.constant(raw[name], spec.dtype) for name, spec in look_up.inputs.items()})
        parts.append({name: value.numpy() for name, value in to_inputs(looked_up, model.columns.item, 1).items()})
    place = {item: column for column, item in enumerate(catalogue.items)}
    rows = np.array([place[item] for item in newer.vocabulary(ITEM)])
    # Every item of the catalogue is one of the two datasets'.
    order = np.arange(len(catalogue.items))
    order[rows] = model.catalog_size + np.arange(len(rows))
    return {name: joined([value, *(part[name] for part in parts)])[order] for name, value in inputs.items()}


def item_features(spec: DatasetSpec, columns: tuple[FeatureColumn, ...]) -> dict[str, FeatureSpec]:
    """What a dataset's view `items` says of some item columns, by their names.

    Raises:
        DataError: There is no such view or feature.
    """
    chosen = chosen_features(spec, VIEW, ["id", *(column.name for column in columns if column.name != ITEM)])
    return {**chosen, ITEM: chosen["id"]}


def _check_form(column: FeatureColumn, feature: FeatureSpec, newer: DatasetSpec) -> None:
    there = FeatureColumn.of(column.name, feature)
    if there.kind != column.kind:
        raise ExportError(
            f"{newer.directory} has {column.name!r} as {there.kind}, and the model was trained on it as {column.kind}: "
            "prepare it with the same --numeric and --multi."
        )

"""Golden requests for models of features: real users and items, and some of whom nothing is known."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from tfrec_zoo.data import interactions, records
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.data.raw_features import RawFeatures, filled
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.export.catalogue_features import item_features
from tfrec_zoo.export.golden_requests import UNKNOWN, Request, some_candidates
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.preprocessing.feature_columns import COUNT, HISTORY, ITEM, NUMBER, SEVERAL, FeatureColumn


def feature_requests(
    spec: DatasetSpec,
    catalogue: ItemCatalogue,
    model: FeatureRecommender,
    signatures: Iterable[str],
    rows: int = 32,
) -> list[Request]:
    """Requests for every signature of a model of features.

    Args:
        spec: The dataset.
        catalogue: The items of the version.
        model: Says what is read.
        signatures: Those that the version has.
        rows: How many real users, items and records.

    Returns:
        The requests, JSON-ready; at least one for each signature.
    """
    split = next(name for name in ("test", "valid", "train") if spec.records(interactions.VIEW, name))
    user = _users(spec, split, model, rows)
    # Its newest item may be one that only a newer dataset has.
    history = [*user.pop(HISTORY)[:-1], [catalogue.items[-1]]]
    read = {**user, HISTORY: _filled(history, left=True)} if HISTORY in _names(model.columns.user) else user
    asked = len(history)
    examples = [tf.train.Example().SerializeToString()]
    examples += [each.numpy() for each in records.read(spec.paths(interactions.VIEW, split)).take(rows)]
    serialized = [{"b64": base64.b64encode(each).decode("ascii")} for each in examples]
    pre_ranks = [{**read, "candidates": [candidates] * asked} for candidates in (some_candidates(catalogue), [])]
    retrieval = {**user, HISTORY: _filled(history, left=True)}
    wanted: dict[str, list[dict[str, Any]]] = {
        "pre_rank": pre_ranks,
        "recommend": [retrieval],
        "serving_default": [retrieval] if "recommend" in signatures else pre_ranks,
        "encode": [read],
        "encode_items": [_items(spec, model, rows)] if "encode_items" in signatures else [],
        "serving_examples": [{"examples": serialized}],
        "classify": [{"inputs": serialized}],
        "regress": [{"inputs": serialized}],
    }
    return [{"signature": name, "inputs": inputs} for name in signatures for inputs in wanted[name]]


def _users(spec: DatasetSpec, split: str, model: FeatureRecommender, rows: int) -> dict[str, list[Any]]:
    """Raw features of users, the history among them in any case."""
    columns = list(model.columns.user)
    if HISTORY not in _names(columns):
        columns.append(FeatureColumn.of(HISTORY, spec.features[interactions.VIEW][HISTORY]))
    names = [column.name for column in columns]
    batches = interactions.evaluation_batches(spec, split, rows, model.history_length, features=names)
    batch = next(iter(records.explained(batches, spec)))
    raw = RawFeatures(spec, spec.features[interactions.VIEW], columns)(batch)
    return _with_unknown(raw, columns)


def _items(spec: DatasetSpec, model: FeatureRecommender, rows: int) -> dict[str, list[Any]]:
    """Raw features of items."""
    columns = model.columns.item
    names = [column.name for column in columns if column.name != ITEM]
    batch = next(iter(records.explained(item_batches(spec, rows, features=["id", *names]), spec)))
    raw = RawFeatures(spec, item_features(spec, columns), columns)({**batch, ITEM: batch["id"]})
    return _with_unknown(raw, columns)


def _with_unknown(raw: dict[str, list[Any]], columns: Sequence[FeatureColumn]) -> dict[str, list[Any]]:
    """The same rows, one with unknown values and one without any after them."""
    rows = dict(raw)
    for column in columns:
        name = column.raw_name
        if column.kind in (NUMBER, COUNT):
            rows[name] = raw[name] + [None if column.kind == NUMBER else 0] * 2
        elif column.kind in (SEVERAL, HISTORY):
            rows[name] = _filled([*raw[name], [UNKNOWN], []], left=column.kind == HISTORY)
        else:
            rows[name] = [*raw[name], UNKNOWN, ""]
    return rows


def _filled(rows: Sequence[list[str]], left: bool) -> list[list[str]]:
    return filled([[text for text in row if text] for row in rows], left)


def _names(columns: Sequence[FeatureColumn]) -> list[str]:
    return [column.name for column in columns]

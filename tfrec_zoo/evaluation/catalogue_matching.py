"""Ranking the whole catalogue by a model of features: rows of the view `interactions` as an `Evaluator` reads users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import interactions, items, records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.evaluator import Evaluation, Evaluator, users_at_once
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.recommender import ENCODES_ITEMS
from tfrec_zoo.preprocessing.feature_columns import ITEM, to_inputs

_ITEMS_AT_ONCE = 4096


def user_batches(
    model: FeatureRecommender, spec: DatasetSpec, split: str, batch_size: int | None = None
) -> tf.data.Dataset:
    """The rows with label 1 of a split, as `sequences.evaluation_batches` gives users, for `Evaluator`.

    A row's history is "seen": `tfrec prepare --history-length` says how far back it reaches.

    Args:
        model: Its user columns are read.
        spec: The dataset.
        split: "valid" or "test".
        batch_size: Rows read at once; default: as of `Evaluator`.

    Returns:
        A dataset of dicts: "history" a dict of the model's user columns and "whole_history"; "target" int32 (batch,);
        "seen" RaggedTensor int32 (batch, None); "user" string (batch,).

    Raises:
        DataError: The dataset has no such view, split or feature.
    """
    names = [column.name for column in model.columns.user]
    wanted = list(dict.fromkeys([*names, "history", "user", ITEM, interactions.LABEL]))
    length = int(spec.options.get("history_length") or model.history_length)

    def to_users(batch: dict[str, tf.Tensor]) -> dict[str, Any]:
        liked = batch[interactions.LABEL] > 0.5
        batch = {
            name: tf.ragged.boolean_mask(value, liked)
            if isinstance(value, tf.RaggedTensor)
            else tf.boolean_mask(value, liked)
            for name, value in batch.items()
        }
        history = batch["history"]
        seen = tf.ragged.boolean_mask(history, history >= FIRST_ITEM_ID)
        inputs = to_inputs(batch, model.columns.user, model.history_length)
        return {
            "history": {**inputs, "whole_history": history},
            "target": batch[ITEM],
            "seen": seen,
            "user": batch["user"],
        }

    batch_size = batch_size or users_at_once(spec.catalog_size)
    batches = interactions.evaluation_batches(spec, split, batch_size, length, features=wanted)
    return records.fixed_parallelism(batches.map(to_users, num_parallel_calls=records.PARALLEL_CALLS))


class CatalogueMatcher:
    """Scores users of features on the catalogue by the vectors of its items.

    Args:
        model: It encodes items.
        spec: The dataset; its view `items` is the catalogue.

    Raises:
        DataError: The dataset has no view `items`, or its items lack a feature of the model's.
    """

    def __init__(self, model: FeatureRecommender, spec: DatasetSpec) -> None:
        if ENCODES_ITEMS not in model.capabilities:
            raise DataError(f"{model.name_in_zoo} has no item vectors: it ranks given candidates, not the catalogue.")
        self._model = model
        self._inputs = item_inputs(model, spec)
        self._encode = tf.function(lambda inputs: model.encode_items(inputs, training=False), reduce_retracing=True)
        self._vectors = tf.Variable(self._encoded(), trainable=False)

    def refresh(self) -> None:
        """Encodes the catalogue with the weights that the model has now."""
        self._vectors.assign(self._encoded())

    def _encoded(self) -> np.ndarray:
        return np.concatenate([self._encode(part).numpy() for part in in_parts(self._inputs, _ITEMS_AT_ONCE)])

    def score(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Logits of all items, float32 (batch, catalog_size), for the columns of users."""
        return self._model.match_all(self._model.encode_users(inputs, training=False), self._vectors)


class CatalogueEvaluator:
    """An `Evaluator` of a model of features: made once, called after every change of the model.

    Args:
        model: It encodes items.
        spec: The dataset, with the views `interactions` and `items`.
        split: "valid" or "test".
        filter_seen: As of `Evaluator`.
        ks: As of `Evaluator`.

    Raises:
        ConfigError: A cut-off out of range.
        DataError: The dataset lacks a view or a feature, or the split holds no target.
    """

    def __init__(
        self,
        model: FeatureRecommender,
        spec: DatasetSpec,
        *,
        split: str = "test",
        filter_seen: bool = False,
        ks: Sequence[int] | None = None,
    ) -> None:
        self._matcher, batches = CatalogueMatcher(model, spec), user_batches(model, spec, split)
        self._evaluate = Evaluator(self._matcher, spec, split=split, filter_seen=filter_seen, ks=ks, batches=batches)

    def __call__(self) -> Evaluation:
        """Encodes the catalogue with the weights that the model has now, and ranks every target once."""
        self._matcher.refresh()
        return self._evaluate()


class OnHistories:
    """A baseline of histories, for the batches of `user_batches`.

    Args:
        scorer: It scores histories, int32 (batch, n).
    """

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer

    def score(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """As of the baseline."""
        return self._scorer.score(inputs["whole_history"])


def item_inputs(model: FeatureRecommender, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """The columns of all items, in the order of the ids: row j is the item with id j + 4.

    Raises:
        DataError: The dataset has no view `items`, or its items lack a feature of the model's.
    """
    columns = model.columns.item
    read = [column.name for column in columns if column.name != ITEM]
    parts: list[dict[str, np.ndarray]] = []
    batches = items.item_batches(spec, _ITEMS_AT_ONCE, features=["id", *read])
    for batch in records.explained(batches, spec):
        features = {**batch, ITEM: batch["id"]}
        parts.append({name: value.numpy() for name, value in to_inputs(features, columns, 1).items()})
    return {column.name: joined([part[column.name] for part in parts]) for column in columns}


def in_parts(inputs: Mapping[str, np.ndarray], rows: int) -> list[dict[str, np.ndarray]]:
    """Cuts columns along their rows."""
    total = len(next(iter(inputs.values())))
    return [{name: value[first : first + rows] for name, value in inputs.items()} for first in range(0, total, rows)]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Rows of several batches; those with several values are filled to the widest with PAD."""
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, [[0, 0], [0, width - part.shape[1]]]) for part in parts])

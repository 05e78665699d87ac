"""`tfrec bench pre-rank`: milliseconds to score one user's candidates whose encodings are kept, by model and heads.

A request encodes the user, gathers the candidates' encodings and matches: what a server does, without the server.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluator
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, HISTORY, NUMBER, FeatureColumn, FeatureColumns
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.train import train

MODELS = ("dssm", "inttower", "deepfm")
HEADS = (1, 2, 4, 8, 16, 32)
CANDIDATES = (1_000, 10_000)
_ITEMS = 20_000
_COLUMNS = FeatureColumns(
    user=(
        FeatureColumn("user_id", CATEGORY, "user", 10_000),
        FeatureColumn("gender", CATEGORY, "gender", 2),
        FeatureColumn("occupation", CATEGORY, "occupation", 21),
        FeatureColumn("age", NUMBER),
        FeatureColumn("user_count", NUMBER),
        FeatureColumn("user_mean_label", NUMBER),
        FeatureColumn("history", HISTORY, "item", _ITEMS),
    ),
    item=(
        FeatureColumn("item", CATEGORY, "item", _ITEMS),
        FeatureColumn("category", CATEGORY, "category", 18),
        FeatureColumn("release_year", NUMBER),
        FeatureColumn("item_count", NUMBER),
        FeatureColumn("item_mean_label", NUMBER),
    ),
)
"""As many fields of both sides as MovieLens gives."""


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    heads: Sequence[int] = HEADS,
    candidates: Sequence[int] = CANDIDATES,
    requests: int = 300,
) -> list[dict[str, Any]]:
    """Times the presets of the models, then IntTower with more and fewer heads.

    Args:
        data: A dataset directory with labels: every model is trained on it, and its AUC on test stands beside its
            cost. Default: none is trained.
        heads: Of IntTower, of the item and of every user layer alike; as wide as the preset's.
        candidates: Items of a request.
        requests: Requests that are timed.

    Returns:
        One row a model and number of candidates; "/ dssm" are medians.
    """
    cases: list[tuple[str, dict[str, Any]]] = [(model, {}) for model in MODELS]
    cases += [("inttower", {"network.heads": count, "network.item_heads": count}) for count in heads]
    rows = []
    base: dict[int, float] = {}
    for name, values in cases:
        assignments = [f"{key}={value}" for key, value in values.items()]
        reached = "" if data is None else round(auc(name, DatasetSpec.read(data), assignments), 4)
        config = load_config(name, assignments=assignments).network
        request, floats = request_of(name, config)
        for count in candidates:
            median, p99 = percentiles(functools.partial(request, count), requests)
            base.setdefault(count, median)
            rows.append(
                {
                    "model": name,
                    "heads": config.get("heads", ""),
                    "candidates": count,
                    "median_ms": round(median, 3),
                    "p99_ms": round(p99, 3),
                    f"/ {MODELS[0]}": round(median / base[count], 2),
                    "floats_an_item": floats,
                    "auc": reached,
                }
            )
    return rows


def request_of(name: str, config: Mapping[str, Any]) -> tuple[Callable[[int], tf.Tensor], int]:
    """A request of one user, as a function of the number of candidates, and the floats that are kept of an item.

    Args:
        name: In the zoo.
        config: Of the network.
    """
    keras.utils.set_random_seed(0)
    model_class = get_model(name)
    assert issubclass(model_class, FeatureRecommender)
    model = model_class(_ITEMS, _COLUMNS, config)
    user, catalogue = _drawn(model.columns.user, 1, model.history_length), _drawn(model.columns.item, _ITEMS, 1)
    encoded = tf.nest.map_structure(tf.Variable, model.encode_items(catalogue, training=False))

    @tf.function
    def score(user: dict[str, tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        items = tf.nest.map_structure(lambda values: tf.gather(values, rows[None]), encoded)
        return model.match(model.encode_users(user, training=False), items, training=False)

    rows = np.random.default_rng(0).permutation(_ITEMS)
    floats = sum(int(np.prod(part.shape[1:])) for part in tf.nest.flatten(encoded))
    return lambda count: score(user, tf.constant(rows[:count])).numpy(), floats


def percentiles(call: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Median and 99th percentile of the milliseconds of a call, after some that warm up."""
    took = []
    for number in range(-10, calls):
        start = time.perf_counter()
        call()
        if number >= 0:
            took.append(1000 * (time.perf_counter() - start))
    median, p99 = np.quantile(took, [0.5, 0.99])
    return float(median), float(p99)


def auc(name: str, spec: DatasetSpec, assignments: Sequence[str]) -> float:
    """AUC on test of the weights that are best on valid."""
    with tempfile.TemporaryDirectory() as folder:
        train(name, spec.directory, Path(folder) / "RUN", assignments=assignments, seed=0, quiet=True)
        model = RunDirectory.open(Path(folder) / "RUN").load_model(spec)
    assert isinstance(model, FeatureRecommender)
    return PointwiseEvaluator(model, spec)().metrics["auc"]


def _drawn(columns: Sequence[FeatureColumn], rows: int, length: int) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(1)
    values: dict[str, tf.Tensor] = {}
    for column in columns:
        if column.values is None:
            values[column.name] = tf.constant(rng.normal(size=rows), tf.float32)
        else:
            shape = (rows, length) if column.kind == HISTORY else (rows,)
            ids = rng.integers(FIRST_ITEM_ID, FIRST_ITEM_ID + column.values, shape)
            values[column.name] = tf.constant(ids, tf.int32)
    return values

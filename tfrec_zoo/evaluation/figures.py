"""From one scoring pass to everything that is reported of a scorer: metrics, intervals, groups, exposure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec
from tfrec_zoo.evaluation.evaluator import Evaluation
from tfrec_zoo.evaluation.groups import group_metrics
from tfrec_zoo.metrics.bootstrap import intervals
from tfrec_zoo.metrics.diversity import intra_list_diversity
from tfrec_zoo.metrics.exposure import catalog_coverage, exposure, gini
from tfrec_zoo.metrics.popularity import average_popularity, novelty, popularity_ratio
from tfrec_zoo.metrics.ranking import per_user, with_equal_names

LIST_LENGTH = 10
"""Recommended items a user, for the metrics beside accuracy."""
LIST_METRICS = ("coverage", "gini", "novelty", "popularity", "popularity_ratio", "diversity")
_DIVERSITY_LISTS = 2000


@dataclasses.dataclass(frozen=True)
class Figures:
    """What is reported of one scorer.

    Attributes:
        metrics: Accuracy, then the metrics of the lists where they were kept.
        intervals: 95% bootstrap interval of every accuracy metric.
        groups: See `groups.group_metrics`.
        users: Users who have targets.
        exposure: int64 (catalog_size,), how often every item is recommended.
    """

    metrics: dict[str, float]
    intervals: dict[str, list[float]]
    groups: dict[str, Any]
    exposure: np.ndarray
    users: int


class Figuring:
    """Figures of several scorers on one dataset; reads what they share once.

    Args:
        spec: The dataset.
        ks: Cut-offs.
        seed: Of the bootstrap.
    """

    def __init__(self, spec: DatasetSpec, ks: Sequence[int], seed: int = 0) -> None:
        self._counts = np.asarray(spec.item_counts, np.int64)
        self._spec, self._ks, self._seed = spec, ks, seed
        self._train: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, evaluation: Evaluation) -> Figures:
        """Everything that one pass says."""
        values = per_user(evaluation.ranks, self._ks)
        low, high = intervals(np.stack(list(values.values()), axis=1), evaluation.users, seed=self._seed)
        ends = {name: [float(low[place]), float(high[place])] for place, name in enumerate(values)}
        return Figures(
            metrics={**evaluation.metrics, **self._list_metrics(evaluation)},
            intervals=with_equal_names(ends),
            groups=group_metrics(evaluation, self._spec.item_counts, self._ks),
            exposure=exposure(evaluation.recommended, len(self._counts)),
            users=int(evaluation.users.max()) + 1,
        )

    def _list_metrics(self, evaluation: Evaluation) -> dict[str, float]:
        lists, counts = evaluation.recommended, self._counts
        if not lists.shape[1]:
            return {}
        if self._train is None:
            self._train = train_interactions(self._spec)
        popularity = average_popularity(lists, counts)
        some = lists[:: -(-len(lists) // _DIVERSITY_LISTS)]
        figures = (
            catalog_coverage(lists, len(counts)),
            gini(exposure(lists, len(counts))),
            novelty(lists, counts),
            float(np.nanmean(popularity)) if np.isfinite(popularity).any() else 0.0,
            popularity_ratio(popularity, evaluation.history_popularity),
            intra_list_diversity(some, *self._train),
        )
        return {f"{name}@{lists.shape[1]}": figure for name, figure in zip(LIST_METRICS, figures, strict=True)}


def train_interactions(spec: DatasetSpec) -> tuple[np.ndarray, np.ndarray]:
    """Item column and user of every interaction in the train records, int64 (interactions,) each."""
    columns, users, done = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for batch in records.read(spec.paths("sequences", "train")).batch(4096):
        items = records.parse(batch, {"items": FeatureSpec("int64", (-1,))})["items"]
        column, user = items.values.numpy() - FIRST_ITEM_ID, items.value_rowids().numpy() + done
        columns.append(column[column >= 0])
        users.append(user[column >= 0])
        done += len(batch)
    return np.concatenate(columns), np.concatenate(users)

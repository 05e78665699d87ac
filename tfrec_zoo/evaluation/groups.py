"""Groups that an average hides: users by the length of their history, targets by their popularity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_zoo.evaluation.evaluator import Evaluation
from tfrec_zoo.metrics.ranking import summarize

HISTORY_GROUPS = {"cold": 0, "warm": 10, "long": 50}
"""Fewest earlier interactions of a user of the group; a group ends where the next begins."""
POPULARITY_GROUPS = {"head": 0.5, "mid": 0.8, "tail": 1.0}
"""Share of the train interactions that the items down to the end of the group make, the most popular first."""


def group_metrics(
    evaluation: Evaluation, item_counts: Sequence[int], ks: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of every group that has targets.

    Args:
        evaluation: Of one scorer.
        item_counts: Train interactions of every item, never increasing.
        ks: Cut-offs.

    Returns:
        "history" -> "cold" (under 10 earlier interactions), "warm" (10 to 49) and "long"; "popularity" -> "head" (the
        items that make the first half of all train interactions), "mid" (down to 80%), "tail" and "unknown" (targets
        without train rows). A group is its number of "targets", then the metrics.
    """
    return {
        title: {
            name: {"targets": int(members.sum()), **summarize(evaluation.ranks[members], ks)}
            for name, members in groups.items()
            if members.any()
        }
        for title, groups in {
            "history": history_groups(evaluation.history_lengths),
            "popularity": popularity_groups(evaluation.targets, item_counts),
        }.items()
    }


def history_groups(history_lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Members of every history group, bool (users,) each."""
    starts = np.array(list(HISTORY_GROUPS.values()))
    place = np.searchsorted(starts, history_lengths, side="right") - 1
    return {name: place == number for number, name in enumerate(HISTORY_GROUPS)}


def popularity_groups(targets: np.ndarray, item_counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Members of every popularity group of target columns, bool (users,) each."""
    counts = np.asarray(item_counts, np.float64)
    # The share that more popular items make, so that the most popular item is always in the head.
    before = (np.cumsum(counts) - counts) / max(counts.sum(), 1.0)
    bucket = np.searchsorted(np.array(list(POPULARITY_GROUPS.values())), before, side="right")
    place = np.where(targets >= 0, bucket[np.maximum(targets, 0)], -1)
    groups = {name: place == number for number, name in enumerate(POPULARITY_GROUPS)}
    return {**groups, "unknown": place == -1}

"""Ranking metrics of one held-out target a user, from its rank alone.

A rank is 1 + the items scored higher + half of the items scored equal, so it may be fractional; an infinite rank is a
target that cannot be recommended (an item without train rows): a miss that stays in the denominator.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Figure = TypeVar("Figure")

_SAME_WITH_ONE_TARGET = {"hr": "recall", "mrr": "map"}


def hit_rate(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 where the target is among the first k, else 0; float64 (users,). Equals Recall@k with one target."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(1 + rank) where the target is among the first k, else 0; float64 (users,)."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def reciprocal_rank(ranks: np.ndarray, k: int | None = None) -> np.ndarray:
    """1 / rank, 0 beyond the first k; float64 (users,). Its mean is MRR, or MRR@k, which is MAP@k with one target."""
    return np.where(ranks <= (np.inf if k is None else k), 1.0 / ranks, 0.0)


def per_user(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Every metric of every user, what intervals and paired comparisons are drawn from.

    Args:
        ranks: float (users,), at least 1; inf for a miss.
        ks: The cut-offs.

    Returns:
        "ndcg@k", "hr@k" and "mrr@k" for every k, then "mrr": float64 (users,) each.
    """
    values: dict[str, np.ndarray] = {}
    for k in ks:
        values[f"ndcg@{k}"] = ndcg(ranks, k)
        values[f"hr@{k}"] = hit_rate(ranks, k)
        values[f"mrr@{k}"] = reciprocal_rank(ranks, k)
    values["mrr"] = reciprocal_rank(ranks)
    return values


def with_equal_names(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Adds the names that other papers use: with one target a user, Recall@k is HR@k and MAP@k is MRR@k."""
    named = dict(figures)
    for name, figure in figures.items():
        metric, _, k = name.partition("@")
        if k and metric in _SAME_WITH_ONE_TARGET:
            named[f"{_SAME_WITH_ONE_TARGET[metric]}@{k}"] = figure
    return named


def summarize(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """Means over the users of `per_user`, and "recall@k" and "map@k" beside them.

    Args:
        ranks: float (users,), at least 1; inf for a miss.
        ks: The cut-offs.
    """
    return with_equal_names({name: float(values.mean()) for name, values in per_user(ranks, ks).items()})

"""Ranking metrics of one held-out target a user, from its rank alone.

A rank is 1 + the items scored higher + half of the items scored equal, so it may be fractional; an infinite rank is a
target that cannot be recommended (an item without train rows): a miss that stays in the denominator.
"""

from collections.abc import Sequence

import numpy as np


def hit_rate(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 where the target is among the first k, else 0; float64 (users,). Equals Recall@k with one target."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(1 + rank) where the target is among the first k, else 0; float64 (users,)."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def reciprocal_rank(ranks: np.ndarray, k: int | None = None) -> np.ndarray:
    """1 / rank, 0 beyond the first k; float64 (users,). Its mean is MRR, or MRR@k."""
    return np.where(ranks <= (np.inf if k is None else k), 1.0 / ranks, 0.0)


def summarize(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """Means over the users.

    Args:
        ranks: float (users,), at least 1; inf for a miss.
        ks: The cut-offs.

    Returns:
        "ndcg@k", "hr@k" and "mrr@k" for every k, then "mrr".
    """
    metrics: dict[str, float] = {}
    for k in ks:
        metrics[f"ndcg@{k}"] = float(ndcg(ranks, k).mean())
        metrics[f"hr@{k}"] = float(hit_rate(ranks, k).mean())
        metrics[f"mrr@{k}"] = float(reciprocal_rank(ranks, k).mean())
    metrics["mrr"] = float(reciprocal_rank(ranks).mean())
    return metrics

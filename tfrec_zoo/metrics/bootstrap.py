"""Bootstrap over users: intervals of means, and the paired comparison of two scorers.

Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 (percentile interval) and 16
(testing).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

RESAMPLES = 2000
PAIRED_RESAMPLES = 10_000
_CELLS_AT_ONCE = 2**21


def intervals(
    values: np.ndarray,
    users: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals of the means over targets, all columns from the same resamples.

    Args:
        values: float (targets, metrics).
        users: int (targets,), the user of each target, from 0: a user is drawn with all targets, because these are not
            independent of each other. None: every target is of another user.
        resamples: Draws of `users` users with replacement.
        level: Share of the resampled means inside.
        seed: Of the draws.

    Returns:
        Lower and upper ends, float64 (metrics,) each.
    """
    means = np.concatenate(list(_resampled_means(*_by_user(values, users), resamples, seed)))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def statistics(
    of_resample: Callable[[np.ndarray], np.ndarray], users: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Statistics that are no means, such as the AUC, of resampled users.

    Args:
        of_resample: From how often each user was drawn, int (users,), to float (statistics,).
        users: Number of users.
        resamples: Draws of `users` users with replacement.
        seed: Of the draws.

    Returns:
        float64 (resamples, statistics). Differences of its columns are paired: all are of the same draws.
    """
    rng = np.random.default_rng(seed)
    drawn = (np.bincount(rng.integers(users, size=users), minlength=users) for _ in range(resamples))
    return np.stack([of_resample(times) for times in drawn])


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """The first scorer beside the second on the same users.

    Attributes:
        difference: Mean over the targets of first - second.
        low, high: Its percentile interval.
        p_value: Two-sided: how often the resampled difference has the other sign; 1 where all users are equal.
        wins, ties, losses: Users on whose targets together the first is better, equal, worse.
    """

    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    ties: int
    losses: int


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    users: np.ndarray | None = None,
    *,
    resamples: int = PAIRED_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Compares one metric of two scorers, float (targets,) each, by resampling users with all of their values."""
    difference = np.asarray(first, np.float64) - second
    sums, sizes = _by_user(difference[:, None], users)
    means = np.concatenate(list(_resampled_means(sums, sizes, resamples, seed)))[:, 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    # The draw that was observed counts as one more, so that p is never 0.
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0)) + 1
    return PairedDifference(
        difference=float(difference.mean()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2.0 * tail / (resamples + 1)),
        wins=int((sums > 0).sum()),
        ties=int((sums == 0).sum()),
        losses=int((sums < 0).sum()),
    )


def _by_user(values: np.ndarray, users: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums (users, metrics) and number of targets (users,) of every user."""
    if users is None:
        return values, np.ones(len(values))
    sums = np.zeros((int(users.max()) + 1, values.shape[1]))
    np.add.at(sums, users, values)
    return sums, np.bincount(users).astype(np.float64)


def _resampled_means(sums: np.ndarray, sizes: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Means of the columns in every resample, (resamples in the chunk, metrics); memory stays bounded."""
    rng = np.random.default_rng(seed)
    users = len(sums)
    chunk = max(1, _CELLS_AT_ONCE // users)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(users, size=(size, users))
        # How often each user was drawn: one matrix product then gives the means of all metrics.
        drawn += np.arange(size)[:, None] * users
        times = np.bincount(drawn.reshape(-1), minlength=size * users).reshape(size, users)
        yield times.astype(np.float64) @ sums / (times @ sizes)[:, None]

"""Sampled negatives: items that a user did not touch, drawn uniformly or by popularity.

A draw needs no rejection: every item is an interval of integer width on a line (1 for uniform, its train count for
popularity), the items to avoid are cut out of the line, and a point of what is left is one hash. So the draws are exact
whatever share of the catalogue a user knows, and depend on the seed and the keys alone: not on batches or workers.
"""

from __future__ import annotations

import numpy as np

from beam_jobs.subsampling import uniform


class NegativeSampler:
    """Draws ranks of items (row numbers of the vocabulary) outside each user's own set.

    Args:
        widths: Positive integers (catalog,): the weight of each rank.
        seed: Of the draws.
    """

    def __init__(self, widths: np.ndarray, seed: int = 0) -> None:
        self.seed = seed
        self.ends = np.cumsum(widths, dtype=np.int64)
        self.widths = widths.astype(np.int64)

    @classmethod
    def of(cls, distribution: str, counts: np.ndarray, seed: int) -> NegativeSampler:
        """The sampler of a distribution ("uniform" or "popularity") over items with these train counts."""
        return cls(np.ones(len(counts), np.int64) if distribution == "uniform" else counts, seed)

    def draw(
        self, keys: np.ndarray, user: np.ndarray, avoid_user: np.ndarray, avoid_rank: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws `count` ranks a row, with replacement.

        Args:
            keys: uint64 (rows,), hashes: equal ones draw equally.
            user: int64 (rows,), the number of each row's user.
            avoid_user: int64 (pairs,), users of the ranks to avoid; repeated pairs do no harm.
            avoid_rank: int64 (pairs,), ranks that are not drawn for the user beside them.
            count: Draws a row.

        Returns:
            The row of each draw, int64 (draws,), never falling, and its rank, int64 (draws,). A user to whom nothing is
            left gets no draw.
        """
        users = int(max(user.max(initial=-1), avoid_user.max(initial=-1))) + 1
        total, catalog = int(self.ends[-1]), len(self.ends)
        if users * (total + 1) >= 1 << 63:
            raise OverflowError(f"{users} users times a total weight of {total} do not fit into 64 bits")
        pairs = np.unique(avoid_user * catalog + avoid_rank)
        avoid_user, avoid_rank = pairs // catalog, pairs % catalog
        first = np.searchsorted(avoid_user, np.arange(users + 1))
        # What avoided items take from the line, summed over all users; a user's share is a difference.
        taken = np.append(0, np.cumsum(self.widths[avoid_rank]))
        left = total - (taken[first[1:]] - taken[first[:-1]])

        row = np.repeat(np.flatnonzero(left[user] > 0), count)
        number = np.tile(np.arange(count, dtype=np.uint64), len(row) // count)
        # 53 bits, as many as a float holds: the error in a probability is below 2 ** -53 times the line's length.
        space = left[user[row]]
        point = np.minimum((uniform(keys[row] + number, self.seed) * space).astype(np.int64), space - 1)

        # Where a user's avoided items lie on its shortened line: there each has no width, only a place.
        place = self.ends[avoid_rank] - self.widths[avoid_rank] - (taken[:-1] - taken[first[avoid_user]])
        found = np.searchsorted(avoid_user * (total + 1) + place, user[row] * (total + 1) + point, side="right")
        point += taken[found] - taken[first[user[row]]]
        return row, np.searchsorted(self.ends, point, side="right")

"""Means and counts of a group (a user, an item) as features, from the rows that count: those of train.

A counted row is left out of its own group: its features are those of the other rows, so that no row sees its own
label. Sums of labels are integers and counts are, so they add up to the same totals in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Totals(NamedTuple):
    """Sums over the counted rows of each group.

    Attributes:
        rows: int64 (groups,).
        total: int64 or float64 (groups,), of the value that is averaged.
    """

    rows: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, group: np.ndarray, value: np.ndarray, counted: np.ndarray, groups: int) -> Totals:
        """Adds up rows.

        Args:
            group: int (rows,), the group of each row.
            value: int or float (rows,).
            counted: bool (rows,), which rows count: train rows only.
            groups: Number of groups.
        """
        group, value = group[counted], value[counted]
        # float64 holds sums of integers exactly up to 2**53.
        total = np.bincount(group, weights=value.astype(np.float64), minlength=groups)
        kind = np.int64 if value.dtype.kind in "iub" else np.float64
        return cls(np.bincount(group, minlength=groups), total.astype(kind))

    def everything(self) -> Totals:
        """All groups as one."""
        return Totals(self.rows.sum(keepdims=True), self.total.sum(keepdims=True))


def leave_one_out(
    totals: Totals, everything: Totals, group: np.ndarray, value: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count and mean of every row's group, the row itself left out.

    Args:
        totals: Of the groups.
        everything: Of all counted rows, as one group.
        group: int (rows,); -1 for a group without counted rows.
        value: int or float (rows,), what is averaged.
        counted: bool (rows,), which rows are part of the totals.

    Returns:
        Count int64 (rows,), and mean float32 (rows,). A group without other counted rows has the mean of all other
        counted rows, and 0 if there is none.
    """
    own = np.where(counted, value, 0).astype(totals.total.dtype)
    known = group >= 0
    # Index -1 is a real place in numpy: mask what it brings.
    count = np.where(known, totals.rows[group], 0) - counted
    total = np.where(known, totals.total[group], 0) - own
    others = everything.rows[0] - counted.astype(np.int64)
    prior = np.divide(everything.total[0] - own, others, out=np.zeros(len(group)), where=others > 0)
    mean = np.divide(total, count, out=prior, where=count > 0)
    return count, mean.astype(np.float32)

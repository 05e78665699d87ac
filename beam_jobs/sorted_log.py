"""Pass 1 from a plan to sorted, thinned, split and counted partitions, with every fault of the log found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_jobs.counting import CountTrain
from beam_jobs.histories import Histories
from beam_jobs.options import PrepareOptions
from beam_jobs.planning import Plan
from beam_jobs.rejects import check_share, rows_before
from beam_jobs.shuffle import Partition, Slice
from beam_jobs.splits.split import Split
from beam_jobs.tables import read_table
from beam_jobs.thinning import needs_rounds, thin_log
from beam_jobs.transforms import CountLog, SortLog
from beam_jobs.views.view import View
from tfrec_zoo.errors import DataError

Run = Callable[[beam.PTransform, Path], Any]
"""Runs a transform to one element and returns it; the path is for the file that carries it."""


class SortedLog(NamedTuple):
    """What pass 1 made of a log.

    Attributes:
        partitions: Those with events, in the order of their numbers; equal numbers of two logs hold the same users.
        slices: Rows read and rejected, in the log's order.
        rejected: Reason -> refused rows.
        dropped: Filter -> rows that it dropped.
        rows: Rows read.
        counts: `item`, `count` (train rows) and the views' sums of all items, in no order.
        split: Marks the events of the partitions.
    """

    partitions: list[Partition]
    slices: list[Slice]
    rejected: dict[str, int]
    dropped: dict[str, int]
    rows: int
    counts: pa.Table
    split: Split

    @property
    def users(self) -> int:
        """Users with rows that are left."""
        return sum(part.users for part in self.partitions)

    @property
    def events(self) -> int:
        """Rows that are left."""
        return sum(part.events for part in self.partitions)

    @property
    def split_hash(self) -> str:
        """128 bits; a sum over events, so it does not depend on how they were partitioned."""
        hashes = [partition.counts.split_hash for partition in self.partitions if partition.counts]
        return "".join(f"{int(part):016x}" for part in np.array(hashes, np.uint64).sum(axis=0, dtype=np.uint64))

    def user_counts(self) -> pa.Table:
        """`user` and `count` (train rows) of all users."""
        return pa.concat_tables([read_table(part.counts.users_path) for part in self.partitions if part.counts])


def sort_log(
    log: Plan,
    options: PrepareOptions,
    partitions: int,
    split: Split,
    make_views: Callable[[Split], Sequence[View]],
    run: Run,
    scratch: Path,
) -> SortedLog:
    """Runs pass 1.

    Args:
        log: What to read.
        options: The job's options.
        partitions: Number of user partitions.
        split: Marks events; one that is not fitted is.
        make_views: The views of a split; they may want sums an item.
        run: Runs transforms.
        scratch: Existing folder that all workers share.

    Raises:
        DataError: The log cannot be read or split, has no usable row, or too many rows were rejected.
    """
    at_once = split.fitted and not needs_rounds(options)
    count = CountTrain(split, make_views(split), str(scratch)) if at_once else None
    found, counts = run(SortLog(log, options, partitions, count, scratch), scratch / "sorted")
    slices = sorted((part for partition in found for part in partition.slices), key=lambda part: part.order)
    rejected, rows = _check(log, slices, options.max_reject_share)
    sorted_partitions = [partition._replace(slices=()) for partition in found if partition.path]
    if sorted_partitions and needs_rounds(options):
        sorted_partitions = thin_log(sorted_partitions, options, run, scratch)
    dropped = _dropped([*slices, *sorted_partitions])
    filled = [partition for partition in sorted_partitions if partition.events]
    if not filled:
        drops = ", ".join(f"{name} {events:,}" for name, events in dropped.items() if events)
        usable = rows - sum(rejected.values())
        raise DataError(f"the filters leave no row of {usable:,} (dropped: {drops}): loosen one.")
    if not at_once:
        split = split.fit(lambda: (Histories.read_times(partition.path) for partition in filled))
        count = CountTrain(split, make_views(split), str(scratch))
        filled, counts = run(CountLog(filled, count), scratch / "counted")
    return SortedLog(filled, slices, rejected, dropped, rows, counts, split)


def _check(log: Plan, slices: Sequence[Slice], limit: float) -> tuple[dict[str, int], int]:
    """Raises what pass 1 found wrong with the log; returns rejected rows by reason, and rows read."""
    for part in slices:
        if part.error:
            raise DataError(part.error)
    rejected: Counter[str] = Counter()
    for part in slices:
        rejected.update(part.rejected)
    rows = sum(part.rows_read for part in slices)
    where = ""
    if first := next((part for part in slices if part.first_reject), None):
        source = first.order[0]
        reason, row = first.first_reject or ("", 0)
        where = f"{reason} in {log.sources[source].path}, row {row + rows_before(log.sources, slices)[source]}"
    check_share(rejected, rows, limit, where)
    if rows == rejected.total():
        raise DataError(f"the log has no usable row ({rows:,} read, {rows:,} rejected): there is nothing to publish.")
    return dict(sorted(rejected.items())), rows


def _dropped(parts: Sequence[Slice | Partition]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        for name, events in part.dropped.items():
            total[name] += events
    return dict(sorted(total.items()))

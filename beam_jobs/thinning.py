"""Filters that need counts of the whole log: hot items and the k-core, in rounds over the sorted partitions.

A round drops events partition by partition and adds up what is left of every item; which items must go is then decided
here, for the next round. Memory is that of a partition and of the counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.counting import Counts
from beam_jobs.filters import HOT_ITEMS, K_CORE, MIN_USER_ITEMS, HistoryRules
from beam_jobs.histories import Histories
from beam_jobs.item_totals import CountItems
from beam_jobs.options import PrepareOptions
from beam_jobs.shuffle import Partition
from beam_jobs.tables import read_table, write_table

Run = Callable[[beam.PTransform, Path], tuple[list[Partition], pa.Table]]


def needs_rounds(options: PrepareOptions) -> bool:
    """Whether a filter needs counts of the whole log."""
    return bool(options.max_item_count or options.max_item_share is not None or options.k_core > 1)


class ThinPartition(beam.DoFn):
    """Drops items and then what the rules drop, and counts what is left: Partition -> Partition.

    Args:
        items: Arrow file of the raw ids to drop (`item`); "" for none.
        item_filter: Under which name their events are counted.
        rules: For what is left.
        scratch: Existing folder that every worker can write to.
    """

    def __init__(self, items: str, item_filter: str, rules: HistoryRules, scratch: str) -> None:
        self.items, self.item_filter, self.rules, self.scratch = items, item_filter, rules, scratch

    def process(self, partition: Partition) -> Iterator[Partition]:
        histories = Histories.read(partition.path)
        dropped = dict(partition.dropped)
        before = histories.events
        if self.items:
            gone = pc.is_in(histories.items.dictionary, value_set=read_table(self.items)["item"].combine_chunks())
            stay = ~gone.to_numpy(zero_copy_only=False)[histories.item_codes]
            dropped[self.item_filter] = dropped.get(self.item_filter, 0) + int((~stay).sum())
            histories = histories.select(stay)
        histories, more = self.rules.keep(histories)
        for name, events in more.items():
            dropped[name] = dropped.get(name, 0) + events
        path = partition.path
        if histories.events < before:
            path = str(Path(self.scratch) / f"partition-{partition.number:05d}-{uuid.uuid4().hex}.arrow")
            histories.write(Path(path))
        left = np.bincount(histories.item_codes, minlength=len(histories.items.dictionary))
        names = histories.items.dictionary.filter(pa.array(left > 0))
        items = pa.RecordBatch.from_arrays([names, pa.array(left[left > 0], pa.int64())], names=["item", "count"])
        counts = Counts(items, "", (0, 0))
        yield Partition(partition.number, path, len(histories.users), histories.events, dropped, counts)


class ThinLog(beam.PTransform):
    """One round: PBegin -> (partitions, table of item and rows that are left).

    Args:
        partitions: Sorted.
        thin: What to drop.
    """

    def __init__(self, partitions: Sequence[Partition], thin: ThinPartition) -> None:
        super().__init__()
        self.partitions, self.thin = list(partitions), thin

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Partitions" >> beam.Create(self.partitions, reshuffle=False)
            | "Thin" >> beam.ParDo(self.thin)
            | "Count what is left" >> beam.CombineGlobally(CountItems())
        )


def thin_log(partitions: Sequence[Partition], options: PrepareOptions, run: Run, scratch: Path) -> list[Partition]:
    """Drops duplicates, hot items, repeats, and then short users or what is outside of the k-core.

    Args:
        partitions: Sorted, with every accepted event.
        options: The job's options.
        run: Runs a transform and returns its one element, as `runners.run_pipeline` does.
        scratch: Existing folder that all workers share.

    Returns:
        The partitions, some of which may be empty now. In a k-core every item and every user has at least k events, and
        if repeats are dropped there are none, whichever filter made neighbours of two events.
    """
    number = 0

    def one_round(items: pa.Table | None, item_filter: str, rules: HistoryRules) -> pa.Table:
        nonlocal partitions, number
        number += 1
        path = ""
        if items is not None and items.num_rows:
            path = str(scratch / f"dropped-{number}.arrow")
            write_table(items, Path(path))
        thin = ThinPartition(path, item_filter, rules, str(scratch))
        found, counts = run(ThinLog(partitions, thin), scratch / f"thinned-{number}")
        for old, new in zip(partitions, found, strict=True):
            if old.path != new.path:
                Path(old.path).unlink(missing_ok=True)
        partitions = found
        return counts

    core, hot, duplicates = options.k_core, None, options.drop_duplicates
    if options.max_item_count or options.max_item_share is not None:
        hot = _hotter(one_round(None, "", HistoryRules(duplicates=duplicates)), options)
        duplicates = False
    shortest = max(options.min_user_items, core)
    rules = HistoryRules(duplicates, options.drop_repeats, shortest, K_CORE if core > 1 else MIN_USER_ITEMS)
    counts = one_round(hot, HOT_ITEMS, rules)
    while core > 1 and (rare := counts.filter(pc.less(counts["count"], core))).num_rows:
        counts = one_round(rare, K_CORE, rules)
    return [partition._replace(counts=None) for partition in partitions]


def _hotter(counts: pa.Table, options: PrepareOptions) -> pa.Table:
    limit = options.max_item_count or 2**62
    if options.max_item_share is not None:
        limit = min(limit, int(options.max_item_share * (pc.sum(counts["count"]).as_py() or 0)))
    return counts.filter(pc.greater(counts["count"], limit))

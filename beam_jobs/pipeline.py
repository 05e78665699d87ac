"""The prepare job from end to end: plan, pass 1 (sort and count), vocabularies, pass 2 (encode), publish.

Both passes are Beam pipelines with one leaf, built of Create, ParDo, GroupByKey and CombineGlobally only, because that
is what every runner gets right; counts, rejects and errors travel in the elements, not in metrics or tagged outputs.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from beam_jobs import vocabulary
from beam_jobs.counting import CountTrain
from beam_jobs.log_readers import Source, plan
from beam_jobs.lookups import Lookups, read_table, write_table
from beam_jobs.manifest import publish, scratch_folder
from beam_jobs.meter import Meter
from beam_jobs.options import PrepareOptions
from beam_jobs.progress import progress
from beam_jobs.rejects import check_share, summary
from beam_jobs.runners import run_pipeline
from beam_jobs.shards import EncodeShards, Shard, Work
from beam_jobs.shuffle import Partition, Slice, SortPartition, SpillByUser
from beam_jobs.splits import make_split
from beam_jobs.splits.split import Split
from beam_jobs.views.view import View, make_views
from tfrec_zoo.dataset_spec import DatasetSpec, SplitSpec
from tfrec_zoo.errors import DataError

PARTITION_ROWS = 250_000
MIN_PARTITIONS = 8
"""Enough shards for a reader to interleave and for workers to share, whatever the size of the log."""


class SortLog(beam.PTransform):
    """Pass 1: PBegin -> one element, (sorted partitions, table of item, train rows and the views' sums).

    Args:
        sources: What to read, from `log_readers.plan`.
        columns: Role -> column name.
        delimiter: Of CSV files.
        partitions: Number of user partitions.
        count: Counts the train part.
        scratch: Existing folder that all workers share.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        columns: Mapping[str, str],
        delimiter: str,
        partitions: int,
        count: CountTrain,
        scratch: Path,
    ) -> None:
        super().__init__()
        self.sources = list(sources)
        self.spill = SpillByUser(columns, delimiter, partitions, str(scratch))
        self.sort = SortPartition(str(scratch), columns, count)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Sources" >> beam.Create(self.sources, reshuffle=False)
            | "Spill by user" >> beam.ParDo(self.spill)
            | "Gather partitions" >> beam.GroupByKey()
            | "Sort" >> beam.ParDo(self.sort)
            | "Count items" >> beam.CombineGlobally(vocabulary.CountItems())
        )


class EncodeViews(beam.PTransform):
    """Pass 2: PBegin -> one element, the list of written shards.

    Args:
        works: Units of all views.
        encode: Writes them.
    """

    def __init__(self, works: Sequence[Work], encode: EncodeShards) -> None:
        super().__init__()
        self.works, self.encode = list(works), encode

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Units of work" >> beam.Create(self.works, reshuffle=False)
            | "Encode" >> beam.ParDo(self.encode)
            | "List shards" >> beam.CombineGlobally(ToListCombineFn())
        )


class SortedLog(NamedTuple):
    """What pass 1 made of a log.

    Attributes:
        partitions: Those with events, in the order of their numbers; equal numbers of two logs hold the same users.
        slices: Rows read and rejected, in the log's order.
        rejected: Reason -> refused rows.
        rows: Rows read.
        counts: `item`, `count` (train rows) and the views' sums of all items, in no order.
        split: Marks the events of the partitions.
    """

    partitions: list[Partition]
    slices: list[Slice]
    rejected: dict[str, int]
    rows: int
    counts: pa.Table
    split: Split

    @property
    def users(self) -> int:
        """Users with accepted rows."""
        return sum(part.users for part in self.partitions)

    @property
    def events(self) -> int:
        """Accepted rows."""
        return sum(part.events for part in self.partitions)


def run(options: PrepareOptions, meter: Meter) -> dict[str, Any]:
    """Runs the job; see `beam_jobs.prepare`."""
    sources, columns = plan(options)
    count = options.partitions or max(MIN_PARTITIONS, -(-sum(source.rows for source in sources) // PARTITION_ROWS))
    count = min(count, 1 << 16)
    output = Path(options.output)
    if options.runner == "DirectRunner":
        print("prepare: DirectRunner runs as FnApiRunner, in memory (by itself it downloads a binary)", file=sys.stderr)
    with scratch_folder(output) as scratch:
        with progress(scratch, count, len(options.views), options.quiet):
            split = make_split(options)
            views = make_views(options, columns, split)
            log = sort_log(sources, columns, options, count, split, views, scratch)
            lookups = _lookups(log, options, scratch)
            shards = _encode(views, log, lookups, options, scratch)
        vocabularies = {"item": scratch / "item.txt", "user": scratch / "user.txt"}
        vocabulary.write(lookups.item_ids, vocabularies["item"])
        vocabulary.write(lookups.user_ids, vocabularies["user"])
        spec = DatasetSpec(
            features={view.name: view.feature_specs(lookups) for view in views},
            item_counts=lookups.items["count"].to_pylist(),
            users=log.users,
            items=log.counts.num_rows,
            interactions=log.events,
            split=SplitSpec(log.split.protocol, _split_hash(log.partitions)),
            files=(),
            rejects=log.rejected,
            options=options.recorded(count),
        )
        publish(spec, output, shards, vocabularies, _join_rejects(log.slices, scratch))
    if log.rejected:
        print(f"prepare: {summary(log.rejected)}; see {output / 'rejects'}", file=sys.stderr)
    return {
        "rows": log.rows,
        "rows_rejected": sum(log.rejected.values()),
        "users": log.users,
        "items": log.counts.num_rows,
        "sequences": sum(shard.records for shard in shards if shard.view == "sequences"),
        **meter.figures(log.rows),
        "shards": len(shards),
        "split_hash": spec.split.hash,
    }


def sort_log(
    sources: Sequence[Source],
    columns: Mapping[str, str],
    options: PrepareOptions,
    partitions: int,
    split: Split,
    views: Sequence[View],
    scratch: Path,
) -> SortedLog:
    """Pass 1 on a log, checked.

    Args:
        sources: From `log_readers.plan`.
        columns: Role -> column name.
        options: The job's options.
        partitions: Number of user partitions.
        split: Marks events.
        views: Those that may want sums an item.
        scratch: Existing folder that all workers share.

    Raises:
        DataError: The log cannot be read, has no usable row, or too many rows were rejected.
    """
    count = CountTrain(split, views, str(scratch))
    sort = SortLog(sources, columns, options.delimiter, partitions, count, scratch)
    found, counts = run_pipeline(sort, scratch / "sorted", options.runner_choice)
    slices = sorted((part for partition in found for part in partition.slices), key=lambda part: part.order)
    rejected, rows = _check(slices, options.max_reject_share)
    filled = [partition._replace(slices=()) for partition in found if partition.events]
    return SortedLog(filled, slices, rejected, rows, counts, split)


def _check(slices: Sequence[Slice], limit: float) -> tuple[dict[str, int], int]:
    """Raises what pass 1 found wrong with the log; returns rejected rows by reason, and rows read."""
    for part in slices:
        if part.error:
            raise DataError(part.error)
    rejected: Counter[str] = Counter()
    for part in slices:
        rejected.update(part.rejected)
    rows = sum(part.rows_read for part in slices)
    first = next((part.first_reject for part in slices if part.first_reject), "")
    check_share(rejected, rows, limit, first)
    if rows == rejected.total():
        raise DataError(f"the log has no usable row ({rows:,} read, {rows:,} rejected): there is nothing to publish.")
    return dict(sorted(rejected.items())), rows


def _lookups(log: SortedLog, options: PrepareOptions, scratch: Path) -> Lookups:
    """Ranks items and users, and leaves their tables where the workers find them."""
    items = vocabulary.rank(log.counts, options.min_item_count)
    if not items.num_rows:
        raise DataError(
            f"no item has {options.min_item_count} train rows: the vocabulary is empty. Lower --min-item-count."
        )
    users = [read_table(partition.counts.users_path) for partition in log.partitions if partition.counts]
    write_table(items, scratch / "items.arrow")
    write_table(vocabulary.rank(pa.concat_tables(users), 1), scratch / "users.arrow")
    return Lookups(str(scratch))


def _encode(
    views: Sequence[View], log: SortedLog, lookups: Lookups, options: PrepareOptions, scratch: Path
) -> list[Shard]:
    """Pass 2."""
    paths = [partition.path for partition in log.partitions]
    works = [Work(view.name, number, unit) for view in views for number, unit in enumerate(view.units(paths, lookups))]
    encode = EncodeShards(views, lookups, str(scratch), options.compression)
    return run_pipeline(EncodeViews(works, encode), scratch / "encoded", options.runner_choice)


def _split_hash(partitions: Sequence[Partition]) -> str:
    """128 bits; a sum over events, so it does not depend on how they were partitioned."""
    hashes = [partition.counts.split_hash for partition in partitions if partition.counts]
    return "".join(f"{int(part):016x}" for part in np.array(hashes, np.uint64).sum(axis=0, dtype=np.uint64))


def _join_rejects(slices: Sequence[Slice], scratch: Path) -> Path | None:
    """The refused rows of all chunks, in the log's order, in one file."""
    parts = [part.rejects_path for part in slices if part.rejects_path]
    if not parts:
        return None
    joined = scratch / "rejects.jsonl"
    with joined.open("wb") as out:
        for part in parts:
            with Path(part).open("rb") as file:
                shutil.copyfileobj(file, out)
    return joined

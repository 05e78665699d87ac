"""The prepare job from end to end: plan, pass 1 (sort and count), vocabulary, pass 2 (encode), publish.

Both passes are Beam pipelines with one leaf, built of Create, ParDo, GroupByKey and CombineGlobally only, because that
is what every runner gets right; counts, rejects and errors travel in the elements, not in metrics or tagged outputs.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from beam_jobs import vocabulary
from beam_jobs.log_readers import Source, plan
from beam_jobs.manifest import publish, scratch_folder
from beam_jobs.meter import Meter
from beam_jobs.options import PrepareOptions
from beam_jobs.progress import progress
from beam_jobs.rejects import check_share, summary
from beam_jobs.runners import run_pipeline
from beam_jobs.sequences import VIEW, feature_specs
from beam_jobs.shards import EncodeShards, Shard, read_table
from beam_jobs.shuffle import Partition, Slice, SortPartition, SpillByUser
from tfrec_zoo.dataset_spec import DatasetSpec, SplitSpec
from tfrec_zoo.errors import DataError

PARTITION_ROWS = 250_000
MIN_PARTITIONS = 8
"""Enough shards for a reader to interleave and for workers to share, whatever the size of the log."""


class SortLog(beam.PTransform):
    """Pass 1: PBegin -> one element, (sorted partitions, table of item and train rows).

    Args:
        sources: What to read, from `log_readers.plan`.
        columns: Role -> column name.
        options: The job's options.
        partitions: Number of user partitions.
        scratch: Existing folder that all workers share.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        columns: Mapping[str, str],
        options: PrepareOptions,
        partitions: int,
        scratch: Path,
    ) -> None:
        super().__init__()
        self.sources, self.columns, self.scratch = list(sources), columns, str(scratch)
        self.delimiter, self.partitions = options.delimiter, partitions

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Sources" >> beam.Create(self.sources, reshuffle=False)
            | "Spill by user" >> beam.ParDo(SpillByUser(self.columns, self.delimiter, self.partitions, self.scratch))
            | "Gather partitions" >> beam.GroupByKey()
            | "Sort" >> beam.ParDo(SortPartition(self.scratch, "rating" in self.columns))
            | "Count items" >> beam.CombineGlobally(vocabulary.CountItems())
        )


class EncodeLog(beam.PTransform):
    """Pass 2: PBegin -> one element, the list of written shards.

    Args:
        partitions: Of pass 1.
        vocabulary_path: Arrow file with the column `item`.
        options: The job's options.
        scratch: Existing folder that all workers share.
    """

    def __init__(
        self, partitions: Sequence[Partition], vocabulary_path: Path, options: PrepareOptions, scratch: Path
    ) -> None:
        super().__init__()
        self.partitions = list(partitions)
        self.encode = EncodeShards(str(vocabulary_path), str(scratch), options.max_length, options.compression)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Partitions" >> beam.Create(self.partitions, reshuffle=False)
            | "Encode" >> beam.ParDo(self.encode)
            | "List shards" >> beam.CombineGlobally(ToListCombineFn())
        )


def run(options: PrepareOptions, meter: Meter) -> dict[str, Any]:
    """Runs the job; see `beam_jobs.prepare`."""
    sources, columns = plan(options)
    count = options.partitions or max(MIN_PARTITIONS, -(-sum(source.rows for source in sources) // PARTITION_ROWS))
    count = min(count, 1 << 16)
    output = Path(options.output)
    if options.runner == "DirectRunner":
        print("prepare: DirectRunner runs as FnApiRunner, in memory (by itself it downloads a binary)", file=sys.stderr)
    with scratch_folder(output) as scratch:
        with progress(scratch, count, options.quiet):
            sort = SortLog(sources, columns, options, count, scratch)
            partitions, counts = run_pipeline(sort, scratch / "sorted")
            slices = sorted(
                (part for partition in partitions for part in partition.slices), key=lambda part: part.order
            )
            rejected, rows = _check(slices, options.max_reject_share)
            partitions = [partition for partition in partitions if partition.events]
            words = _vocabulary(counts, options.min_item_count)
            with pa.OSFile(str(scratch / "items.arrow"), "wb") as file, pa.ipc.new_file(file, words.schema) as writer:
                writer.write_table(words)
            shards: list[Shard] = run_pipeline(
                EncodeLog(partitions, scratch / "items.arrow", options, scratch), scratch / "encoded"
            )
        vocabularies = {"item": scratch / "item.txt", "user": scratch / "user.txt"}
        vocabulary.write(words["item"], vocabularies["item"])
        vocabulary.write(_users(partitions), vocabularies["user"])
        users, accepted = sum(part.users for part in partitions), sum(part.events for part in partitions)
        spec = DatasetSpec(
            features={VIEW: feature_specs(users, words.num_rows, "rating" in columns)},
            item_counts=words["count"].to_pylist(),
            users=users,
            items=counts.num_rows,
            interactions=accepted,
            split=SplitSpec(options.split, _split_hash(partitions)),
            files=(),
            rejects=rejected,
            options=options.recorded(count),
        )
        publish(spec, output, shards, vocabularies, _join_rejects(slices, scratch))
    if rejected:
        print(f"prepare: {summary(rejected)}; see {output / 'rejects'}", file=sys.stderr)
    return {
        "rows": rows,
        "rows_rejected": rows - accepted,
        "users": users,
        "items": counts.num_rows,
        "sequences": sum(shard.records for shard in shards),
        **meter.figures(rows),
        "shards": len(shards),
        "split_hash": spec.split.hash,
    }


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


def _vocabulary(counts: pa.Table, at_least: int) -> pa.Table:
    words = vocabulary.rank(counts, at_least)
    if not words.num_rows:
        raise DataError(f"no item has {at_least} train rows: the vocabulary is empty. Lower --min-item-count.")
    return words


def _users(partitions: Sequence[Partition]) -> pa.ChunkedArray:
    """All users, most train rows first, ties by raw id."""
    tables = []
    for partition in partitions:
        table = read_table(partition.path, columns=["user", "train"])
        tables.append(table)
    users = pa.concat_tables(tables).rename_columns(["item", "count"])
    return vocabulary.rank(users, 0)["item"]


def _split_hash(partitions: Sequence[Partition]) -> str:
    """128 bits; a sum over users, so it does not depend on how they were partitioned."""
    sums = np.array([partition.split_hash for partition in partitions], np.uint64).sum(axis=0, dtype=np.uint64)
    return "".join(f"{int(part):016x}" for part in sums)


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

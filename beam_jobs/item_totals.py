"""The sum of all partitions' counts: what the vocabulary is made of, whatever the number of partitions and workers."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam
import pyarrow as pa

from beam_jobs.shuffle import Partition

_COMPACT_ROWS = 2_000_000
_COUNTS = pa.schema([("item", pa.binary()), ("count", pa.int64())])


class CountItems(beam.CombineFn):
    """Adds up the partitions' item counts: Partition... -> (partitions without counts, table of item, count, sums)."""

    def create_accumulator(self) -> tuple[list[Partition], pa.Table | None]:
        return [], None

    def add_input(
        self, accumulator: tuple[list[Partition], pa.Table | None], element: Partition
    ) -> tuple[list[Partition], pa.Table | None]:
        partitions, counts = accumulator
        if element.counts is not None:
            counts = _join([counts, pa.Table.from_batches([element.counts.items])])
            element = element._replace(counts=element.counts._replace(items=None))
        return [*partitions, element], counts

    def merge_accumulators(
        self, accumulators: Iterable[tuple[list[Partition], pa.Table | None]]
    ) -> tuple[list[Partition], pa.Table | None]:
        partitions, tables = zip(*accumulators, strict=True)
        return [part for some in partitions for part in some], _join(tables)

    def extract_output(self, accumulator: tuple[list[Partition], pa.Table | None]) -> tuple[list[Partition], pa.Table]:
        partitions, counts = accumulator
        partitions = sorted(partitions, key=lambda part: part.number)
        return partitions, _COUNTS.empty_table() if counts is None else _sum(counts)


def _join(tables: Iterable[pa.Table | None]) -> pa.Table | None:
    filled = [table for table in tables if table is not None]
    if not filled:
        return None
    counts = pa.concat_tables(filled)
    return _sum(counts) if counts.num_rows > _COMPACT_ROWS else counts


def _sum(counts: pa.Table) -> pa.Table:
    names = counts.schema.names[1:]
    summed = counts.group_by("item").aggregate([(name, "sum") for name in names])
    return summed.select(["item", *(f"{name}_sum" for name in names)]).rename_columns(counts.schema.names)

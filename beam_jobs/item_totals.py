"""The sum of all partitions' counts: what the vocabulary is made of, whatever the number of partitions and workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa

from beam_jobs.shuffle import Partition

_COMPACT_BYTES = 32 << 20
_COUNTS = pa.schema([("item", pa.binary()), ("count", pa.int64())])


class _Sums(NamedTuple):
    """Accumulator: what was counted, and how large it was when equal items were last put together."""

    partitions: list[Partition]
    counts: pa.Table | None
    compact: int


class CountItems(beam.CombineFn):
    """Adds up the partitions' item counts: Partition... -> (partitions without counts, table of item, count, sums).

    Memory stays within a few times the size of the final table, however many partitions there are.
    """

    def create_accumulator(self) -> _Sums:
        return _Sums([], None, 0)

    def add_input(self, accumulator: _Sums, element: Partition) -> _Sums:
        if element.counts is None:
            return accumulator._replace(partitions=[*accumulator.partitions, element])
        counts = pa.Table.from_batches([element.counts.items])
        element = element._replace(counts=element.counts._replace(items=None))
        return _add([accumulator, _Sums([element], counts, 0)])

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        return _add(list(accumulators))

    def extract_output(self, accumulator: _Sums) -> tuple[list[Partition], pa.Table]:
        partitions = sorted(accumulator.partitions, key=lambda part: part.number)
        return partitions, _COUNTS.empty_table() if accumulator.counts is None else _sum(accumulator.counts)


def _add(sums: Sequence[_Sums]) -> _Sums:
    partitions = [part for some in sums for part in some.partitions]
    tables = [some.counts for some in sums if some.counts is not None]
    compact = max((some.compact for some in sums), default=0)
    if not tables:
        return _Sums(partitions, None, compact)
    counts = pa.concat_tables(tables)
    if counts.nbytes > max(_COMPACT_BYTES, 2 * compact):
        counts = _sum(counts)
        compact = counts.nbytes
    return _Sums(partitions, counts, compact)


def _sum(counts: pa.Table) -> pa.Table:
    names = counts.schema.names[1:]
    summed = counts.group_by("item").aggregate([(name, "sum") for name in names])
    return summed.select(["item", *(f"{name}_sum" for name in names)]).rename_columns(counts.schema.names)

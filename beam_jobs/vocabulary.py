"""Train counts of all partitions -> the vocabulary: most frequent first, ties by raw id.

The outcome depends on the counts alone, never on the number of workers or partitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.shuffle import Partition
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV

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


def rank(counts: pa.Table, at_least: int) -> pa.Table:
    """The vocabulary.

    Args:
        counts: Raw values (binary, each once) in the first column, int64 in `count`, perhaps more columns.
        at_least: Train events that a value needs.

    Returns:
        The same columns, by falling count, then by the bytes of the value; row n has id n + FIRST_ITEM_ID.
    """
    kept = counts.filter(pc.greater_equal(counts["count"], at_least))
    return kept.sort_by([("count", "descending"), (kept.schema.names[0], "ascending")]).combine_chunks()


def look_up(values: pa.DictionaryArray, vocabulary: pa.Array) -> np.ndarray:
    """Ids of dictionary-encoded raw values: int64 (n,), OOV for those that the vocabulary lacks."""
    places = pc.index_in(values.dictionary, value_set=vocabulary)
    ids = places.fill_null(OOV - FIRST_ITEM_ID).to_numpy(zero_copy_only=False).astype(np.int64) + FIRST_ITEM_ID
    return ids[values.indices.to_numpy()]


def write(values: pa.ChunkedArray | pa.Array, path: Path) -> None:
    """Writes raw values, one a line."""
    separator = pa.scalar(b"\n", pa.large_binary())
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    lines = pc.binary_join_element_wise(values.cast(pa.large_binary()), pa.scalar(b"", pa.large_binary()), separator)
    path.write_bytes(b"".join(lines.to_pylist()))


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

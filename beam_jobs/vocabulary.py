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
    """Adds up the partitions' item counts: Partition... -> (partitions, their table of item, count)."""

    def create_accumulator(self) -> tuple[list[Partition], pa.Table]:
        return [], _COUNTS.empty_table()

    def add_input(
        self, accumulator: tuple[list[Partition], pa.Table], element: Partition
    ) -> tuple[list[Partition], pa.Table]:
        partitions, counts = accumulator
        if element.items is not None:
            counts = _compact(pa.concat_tables([counts, pa.Table.from_batches([element.items])]))
        return [*partitions, element._replace(items=None)], counts

    def merge_accumulators(
        self, accumulators: Iterable[tuple[list[Partition], pa.Table]]
    ) -> tuple[list[Partition], pa.Table]:
        partitions, tables = zip(*accumulators, strict=True)
        return [part for some in partitions for part in some], _compact(pa.concat_tables(tables))

    def extract_output(self, accumulator: tuple[list[Partition], pa.Table]) -> tuple[list[Partition], pa.Table]:
        partitions, counts = accumulator
        return sorted(partitions, key=lambda part: part.number), _sum(counts)


def rank(counts: pa.Table, at_least: int) -> pa.Table:
    """The vocabulary.

    Args:
        counts: `item` binary, each once, and `count` int64.
        at_least: Train rows that an item needs.

    Returns:
        The same columns, by falling count, then by the bytes of the id; row n is the item with id n + FIRST_ITEM_ID.
    """
    kept = counts.filter(pc.greater_equal(counts["count"], at_least))
    return kept.sort_by([("count", "descending"), ("item", "ascending")]).combine_chunks()


def look_up(items: pa.DictionaryArray, vocabulary: pa.Array) -> np.ndarray:
    """Ids of dictionary-encoded raw items: int64 (n,), OOV for those that the vocabulary lacks."""
    places = pc.index_in(items.dictionary, value_set=vocabulary)
    ids = places.fill_null(OOV - FIRST_ITEM_ID).to_numpy(zero_copy_only=False).astype(np.int64) + FIRST_ITEM_ID
    return ids[items.indices.to_numpy()]


def write(values: pa.ChunkedArray | pa.Array, path: Path) -> None:
    """Writes raw ids, one a line."""
    separator = pa.scalar(b"\n", pa.large_binary())
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    lines = pc.binary_join_element_wise(values.cast(pa.large_binary()), pa.scalar(b"", pa.large_binary()), separator)
    path.write_bytes(b"".join(lines.to_pylist()))


def _compact(counts: pa.Table) -> pa.Table:
    return _sum(counts) if counts.num_rows > _COMPACT_ROWS else counts


def _sum(counts: pa.Table) -> pa.Table:
    summed = counts.group_by("item").aggregate([("count", "sum")])
    return summed.rename_columns({"count_sum": "count"}).select(["item", "count"]).cast(_COUNTS)

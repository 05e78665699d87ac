"""Pass 1: from the log's order to the users' order, through files.

Readers spread their rows over user partitions and write them, as Arrow record batches, to one spill file a chunk; only
references travel through Beam's GroupByKey. So a runner that shuffles in memory holds the references and not the log,
and memory is bounded by the largest partition. All workers must see the scratch folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_jobs import memory, rejects
from beam_jobs.chunks import RawChunk
from beam_jobs.cleaning import CleanChunk, clean, event_schema
from beam_jobs.counting import Counts, CountTrain
from beam_jobs.csv_reader import Dialect
from beam_jobs.filters import HistoryRules, RowRules
from beam_jobs.hashing import hash_ids
from beam_jobs.histories import by_time
from beam_jobs.log_readers import Source, read
from tfrec_zoo.errors import DataError


class Slice(NamedTuple):
    """A reference to the rows of one chunk that fall into one partition.

    Attributes:
        order: (source, chunk): slices in this order are in the log's order.
        path, offset, size: Where the record batch lies.
        rows_read: Rows of the whole chunk; like the next four, only on the chunk's first slice.
        dropped: Filter -> accepted rows of the chunk that it drops.
        rejected: Reason -> rejected rows of the chunk.
        rejects_path: File of the rejected rows, or "".
        first_reject: Reason and row of the first one, or None.
        error: Why the source could not be read, or "". Errors travel as data: few runners keep an exception's type.
    """

    order: tuple[int, int]
    path: str = ""
    offset: int = 0
    size: int = 0
    rows_read: int = 0
    dropped: Mapping[str, int] = {}
    rejected: Mapping[str, int] = {}
    rejects_path: str = ""
    first_reject: tuple[str, int] | None = None
    error: str = ""


class Partition(NamedTuple):
    """A sorted partition: a file of histories, and what pass 1 learned of it.

    Attributes:
        number: Which one.
        path: File of `Histories`; "" when no row fell into it.
        users, events: Users and rows that are left.
        dropped: Filter -> events that it dropped since the rows were read.
        counts: Of its train part; None until they are known.
        slices: What it was made of, without the references: rows read, rejected rows, errors.
    """

    number: int
    path: str = ""
    users: int = 0
    events: int = 0
    dropped: Mapping[str, int] = {}
    counts: Counts | None = None
    slices: tuple[Slice, ...] = ()


class SpillByUser(beam.DoFn):
    """Reads sources and spreads their rows over partitions: Source -> (partition, Slice).

    A user is in the same partition whatever file, chunk or machine its rows come from.

    Args:
        columns: Role -> column name.
        dialect: Of CSV files.
        rules: Which rows count.
        partitions: Number of partitions, at most 65536.
        scratch: Existing folder that every worker can write to.
        with_origin: Whether rows carry the group of their file.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        dialect: Dialect,
        rules: RowRules,
        partitions: int,
        scratch: str,
        with_origin: bool = False,
    ) -> None:
        self.columns, self.dialect, self.rules = dict(columns), dialect, rules
        self.partitions, self.scratch, self.with_origin = partitions, scratch, with_origin

    def process(self, source: Source) -> Iterator[tuple[int, Slice]]:
        try:
            for number, chunk in enumerate(read(source, self.columns, self.dialect)):
                yield from self._spill((source.number, number), source, chunk)
        except DataError as error:
            yield 0, Slice((source.number, 1 << 62), error=str(error))

    def _spill(self, order: tuple[int, int], source: Source, chunk: RawChunk) -> Iterator[tuple[int, Slice]]:
        cleaned = clean(chunk, self.rules.limits)
        events, dropped = self.rules.keep(cleaned.events)
        if self.with_origin:
            origin = pa.array(np.full(events.num_rows, source.origin, np.uint8))
            events = pa.RecordBatch.from_arrays([*events.columns, origin], names=[*events.schema.names, "origin"])
        rows_read = len(chunk.rows) + len(chunk.unparsed)
        # Progress reads the number of rows from the name; a retried bundle writes another file.
        name = f"spill-{order[0]:06d}-{order[1]:06d}-{rows_read}-{uuid.uuid4().hex}"
        first = self._reject(order, source.path, chunk, cleaned, Path(self.scratch) / f"{name}.jsonl")
        first = first._replace(rows_read=rows_read, dropped=dropped)
        path = Path(self.scratch) / f"{name}.arrow"
        with path.open("wb") as file:
            for partition, batch in by_user(events, self.partitions):
                offset = file.tell()
                file.write(batch.serialize())
                yield partition, first._replace(path=str(path), offset=offset, size=file.tell() - offset)
                first = Slice(order)
        if first.rows_read:
            yield 0, first

    def _reject(self, order: tuple[int, int], source: str, chunk: RawChunk, cleaned: CleanChunk, path: Path) -> Slice:
        refused = rejects.describe(chunk, cleaned.reasons, source, self.columns)
        if not refused:
            return Slice(order)
        path.write_bytes(rejects.to_lines(refused))
        first = str(refused[0]["reason"]), int(str(refused[0]["row"]))
        return Slice(order, rejected=rejects.count(refused), rejects_path=str(path), first_reject=first)


def by_user(events: pa.RecordBatch, partitions: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Splits accepted rows by a hash of the user; the rows of a partition keep their order. Empty ones are left out."""
    places = (hash_ids(events.column("user")) % np.uint64(partitions)).astype(np.uint16)
    # numpy sorts 16-bit integers by radix: linear, and stable.
    ordered = events.take(pa.array(np.argsort(places, kind="stable")))
    start = 0
    for partition, rows in enumerate(np.bincount(places, minlength=partitions).tolist()):
        if rows:
            yield partition, ordered.slice(start, rows)
        start += rows


class SortPartition(beam.DoFn):
    """Gathers a partition and sorts it: (partition, slices) -> Partition.

    Args:
        scratch: Existing folder that every worker can write to.
        roles: Columns that rows carry.
        rules: Which events of the sorted partition count; None: those are dropped later, by `thinning`.
        count: Counts the partition at once; None: that is done later.
        partitions: Number of partitions.
        limit: Bytes that a worker may take; a partition that needs more is refused unread. None: not known.
    """

    def __init__(
        self,
        scratch: str,
        roles: Iterable[str],
        rules: HistoryRules | None,
        count: CountTrain | None,
        partitions: int,
        limit: int | None = None,
    ) -> None:
        self.partitions, self.limit = partitions, limit
        self.scratch, self.roles, self.rules, self.count = scratch, frozenset(roles), rules, count

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[Partition]:
        index, slices = element[0], sorted(element[1], key=lambda part: part.order)
        ledger = tuple(part for part in slices if part.rows_read or part.error)
        filled = [part for part in slices if part.size]
        if not filled or any(part.error for part in slices):
            yield Partition(index, slices=ledger)
            return
        refused = memory.too_large(sum(part.size for part in filled), self.limit, self.partitions)
        if refused:
            yield Partition(index, slices=(*ledger, Slice(filled[0].order, error=refused)))
            return
        schema = event_schema(self.roles)
        events = pa.Table.from_batches([_load(part, schema) for part in filled]).combine_chunks().to_batches()[0]
        histories, dropped = by_time(events), dict[str, int]()
        del events
        if self.rules:
            histories, dropped = self.rules.keep(histories)
        path = Path(self.scratch) / f"partition-{index:05d}-{uuid.uuid4().hex}.arrow"
        histories.write(path)
        counts = self.count(index, histories) if self.count and histories.events else None
        yield Partition(index, str(path), len(histories.users), histories.events, dropped, counts, ledger)


def _load(part: Slice, schema: pa.Schema) -> pa.RecordBatch:
    with Path(part.path).open("rb") as file:
        file.seek(part.offset)
        return pa.ipc.read_record_batch(pa.py_buffer(file.read(part.size)), schema)

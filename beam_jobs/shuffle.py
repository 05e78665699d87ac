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

from beam_jobs import rejects
from beam_jobs.chunks import RawChunk
from beam_jobs.cleaning import CleanChunk, clean, event_schema
from beam_jobs.counting import Counts, CountTrain
from beam_jobs.hashing import hash_ids
from beam_jobs.histories import by_time
from beam_jobs.log_readers import Source, read
from tfrec_zoo.errors import DataError


class Slice(NamedTuple):
    """A reference to the rows of one chunk that fall into one partition.

    Attributes:
        order: (source, chunk): slices in this order are in the log's order.
        path, offset, size: Where the record batch lies.
        rows_read: Rows of the whole chunk; like the next three, only on the chunk's first slice.
        rejected: Reason -> rejected rows of the chunk.
        rejects_path: File of the rejected rows, or "".
        first_reject: Description of the first one, or "".
        error: Why the source could not be read, or "". Errors travel as data: few runners keep an exception's type.
    """

    order: tuple[int, int]
    path: str = ""
    offset: int = 0
    size: int = 0
    rows_read: int = 0
    rejected: Mapping[str, int] = {}
    rejects_path: str = ""
    first_reject: str = ""
    error: str = ""


class Partition(NamedTuple):
    """A sorted partition: a file of histories, and what pass 1 learned of it.

    Attributes:
        number: Which one.
        path: File of `Histories`; "" when no row fell into it.
        users, events: Accepted users and rows.
        counts: Of its train part; None until they are known.
        slices: What it was made of, without the references: rows read, rejected rows, errors.
    """

    number: int
    path: str = ""
    users: int = 0
    events: int = 0
    counts: Counts | None = None
    slices: tuple[Slice, ...] = ()


class SpillByUser(beam.DoFn):
    """Reads sources and spreads their rows over partitions: Source -> (partition, Slice).

    A user is in the same partition whatever file, chunk or machine its rows come from.

    Args:
        columns: Role -> column name.
        delimiter: Of CSV files.
        partitions: Number of partitions, at most 65536.
        scratch: Existing folder that every worker can write to.
    """

    def __init__(self, columns: Mapping[str, str], delimiter: str, partitions: int, scratch: str) -> None:
        self.columns, self.delimiter = dict(columns), delimiter
        self.partitions, self.scratch = partitions, scratch

    def process(self, source: Source) -> Iterator[tuple[int, Slice]]:
        try:
            for number, chunk in enumerate(read(source, self.columns, self.delimiter)):
                yield from self._spill((source.number, number), source.path, chunk)
        except DataError as error:
            yield 0, Slice((source.number, 1 << 62), error=str(error))

    def _spill(self, order: tuple[int, int], source: str, chunk: RawChunk) -> Iterator[tuple[int, Slice]]:
        cleaned = clean(chunk)
        rows_read = len(chunk.rows) + len(chunk.wrong_width)
        # Progress reads the number of rows from the name; a retried bundle writes another file.
        name = f"spill-{order[0]:06d}-{order[1]:06d}-{rows_read}-{uuid.uuid4().hex}"
        first = self._reject(order, source, chunk, cleaned, Path(self.scratch) / f"{name}.jsonl")._replace(
            rows_read=rows_read
        )
        path = Path(self.scratch) / f"{name}.arrow"
        with path.open("wb") as file:
            for partition, batch in by_user(cleaned.events, self.partitions):
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
        where = f"{refused[0]['reason']} in {source}, row {refused[0]['row']}"
        return Slice(order, rejected=rejects.count(refused), rejects_path=str(path), first_reject=where)


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
        count: Counts the sorted partition at once.
    """

    def __init__(self, scratch: str, roles: Iterable[str], count: CountTrain) -> None:
        self.scratch, self.roles, self.count = scratch, frozenset(roles), count

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[Partition]:
        index, slices = element[0], sorted(element[1], key=lambda part: part.order)
        ledger = tuple(part for part in slices if part.rows_read or part.error)
        filled = [part for part in slices if part.size]
        if not filled or any(part.error for part in slices):
            yield Partition(index, slices=ledger)
            return
        schema = event_schema(self.roles)
        events = pa.Table.from_batches([_load(part, schema) for part in filled]).combine_chunks().to_batches()[0]
        histories = by_time(events)
        del events
        path = Path(self.scratch) / f"partition-{index:05d}-{uuid.uuid4().hex}.arrow"
        histories.write(path)
        counts = self.count(index, histories)
        yield Partition(index, str(path), len(histories.users), histories.events, counts, ledger)


def _load(part: Slice, schema: pa.Schema) -> pa.RecordBatch:
    with Path(part.path).open("rb") as file:
        file.seek(part.offset)
        return pa.ipc.read_record_batch(pa.py_buffer(file.read(part.size)), schema)

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
import pyarrow.compute as pc

from beam_jobs import rejects
from beam_jobs.chunks import RawChunk
from beam_jobs.cleaning import CleanChunk, clean, event_schema
from beam_jobs.hashing import hash_ids, mix
from beam_jobs.log_readers import Source, read
from beam_jobs.split import TEST, TRAIN, VALID, leave_one_out, train_events
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
        path: Arrow file of `histories` and each user's train rows (train); "" when no row fell into it.
        users, events: Accepted users and rows.
        items: Record batch of raw ids (item) and train rows (count); an item without train rows has count 0.
        split_hash: Two sums modulo 2**64 over the held-out events.
        slices: What it was made of, without the references: rows read, rejected rows, errors.
    """

    number: int
    path: str
    users: int
    events: int
    items: pa.RecordBatch | None
    split_hash: tuple[int, int]
    slices: tuple[Slice, ...]


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
        with_rating: Whether rows carry a rating.
    """

    def __init__(self, scratch: str, with_rating: bool) -> None:
        self.scratch, self.with_rating = scratch, with_rating

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[Partition]:
        index, slices = element[0], sorted(element[1], key=lambda part: part.order)
        ledger = tuple(part for part in slices if part.rows_read or part.error)
        filled = [part for part in slices if part.size]
        if not filled or any(part.error for part in slices):
            yield Partition(index, "", 0, 0, None, (0, 0), ledger)
            return
        schema = event_schema(self.with_rating)
        events = pa.Table.from_batches([_load(part, schema) for part in filled]).combine_chunks().to_batches()[0]
        table = histories(events)
        items, train = count_train(table)
        table = table.append_column("train", train)
        path = Path(self.scratch) / f"partition-{index:05d}-{uuid.uuid4().hex}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write(table)
        split_hash = (held_out_hash(table, 1), held_out_hash(table, 2))
        yield Partition(index, str(path), table.num_rows, events.num_rows, items, split_hash, ledger)


def _load(part: Slice, schema: pa.Schema) -> pa.RecordBatch:
    with Path(part.path).open("rb") as file:
        file.seek(part.offset)
        return pa.ipc.read_record_batch(pa.py_buffer(file.read(part.size)), schema)


def histories(events: pa.RecordBatch) -> pa.RecordBatch:
    """Groups rows by user.

    Args:
        events: `user`, `item`, `time` and perhaps `rating`, in the log's order.

    Returns:
        One row a user, sorted by raw id: `user` binary, `items` list of dictionary-encoded binary, `times` list of
        int64, perhaps `ratings` list of float32; each list oldest first, ties in time in the log's order.
    """
    users = events.column("user").dictionary_encode()
    names = users.dictionary
    by_name = pc.sort_indices(names).to_numpy()
    rank = np.empty(len(names), np.int64)
    rank[by_name] = np.arange(len(names))
    user = rank[users.indices.to_numpy()]
    order = pa.array(_order(user, events.column("time").to_numpy()))
    offsets = pa.array(np.append(0, np.cumsum(np.bincount(user, minlength=len(names)))).astype(np.int32))
    items = events.column("item").dictionary_encode()
    columns = {
        "user": names.take(pa.array(by_name)),
        "items": pa.ListArray.from_arrays(
            offsets, pa.DictionaryArray.from_arrays(items.indices.take(order), items.dictionary)
        ),
        "times": pa.ListArray.from_arrays(offsets, events.column("time").take(order)),
    }
    if "rating" in events.schema.names:
        columns["ratings"] = pa.ListArray.from_arrays(offsets, events.column("rating").take(order))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _order(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Row numbers by user, then time, then row."""
    earliest, latest = int(time.min()), int(time.max())
    row_bits, time_bits = len(user).bit_length(), (latest - earliest).bit_length()
    if int(user.max()).bit_length() + time_bits + row_bits > 63:
        return np.lexsort((time, user))
    # All three fit into one integer, and sorting plain integers is ten times faster than sorting by several keys.
    key = (user << (time_bits + row_bits)) | ((time - earliest) << row_bits) | np.arange(len(user))
    key.sort()
    return key & ((1 << row_bits) - 1)


def count_train(table: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Array]:
    """Train rows by item (record batch of item, count) and by user (int64 (users,)), of `histories`."""
    items = table.column("items").values
    codes, records = items.indices.to_numpy(), leave_one_out(_offsets(table))[TRAIN]
    counts = np.bincount(codes[train_events(records, len(codes))], minlength=len(items.dictionary))
    batch = pa.RecordBatch.from_arrays([items.dictionary, pa.array(counts, pa.int64())], names=["item", "count"])
    return batch, pa.array(records.end - records.start, pa.int64())


def held_out_hash(table: pa.RecordBatch, seed: int) -> int:
    """Sum modulo 2**64 of a hash of each held-out (user, target item, time, split).

    A sum has no order, and nothing of files and partitions is in it: partitions' sums add up to the log's.
    """
    records, items = leave_one_out(_offsets(table)), table.column("items").values
    users, names = hash_ids(table.column("user"), seed), hash_ids(items.dictionary, seed + 2)
    codes, times, total = items.indices.to_numpy(), table.column("times").values.to_numpy(), 0
    for number, split in enumerate((VALID, TEST)):
        user, target = records[split].user, records[split].target
        state = mix(users[user] + np.uint64(number)) ^ names[codes[target]]
        total += int(mix(mix(state) ^ times[target].view(np.uint64)).sum(dtype=np.uint64))
    return total % (1 << 64)


def _offsets(table: pa.RecordBatch) -> np.ndarray:
    return table.column("items").offsets.to_numpy().astype(np.int64)

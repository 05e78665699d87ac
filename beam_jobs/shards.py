"""Pass 2: a sorted partition and the vocabulary -> one TFRecord shard a split."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import apache_beam as beam
import pyarrow as pa

from beam_jobs.sequences import SequenceRecords
from beam_jobs.shuffle import Partition
from beam_jobs.split import SPLIT_NAMES
from beam_jobs.tfrecord import frame

BATCH_RECORDS = 4096


class Shard(NamedTuple):
    """A written shard: a row of the manifest.

    Attributes:
        split: "train", "valid" or "test".
        partition: The users it holds.
        path: Its temporary name.
        records, bytes: What readers check.
        digest: Of the records; equal digests mean equal files.
    """

    split: str
    partition: int
    path: str
    records: int
    bytes: int
    digest: str


class EncodeShards(beam.DoFn):
    """Writes the shards of sorted partitions under temporary names: Partition -> Shard...

    Args:
        vocabulary: Arrow file with the column `item`, in the order of the ids.
        scratch: Existing folder that every worker can write to.
        max_length: Most recent events kept in a history; `seen` is never truncated.
        compression: "none" or "gzip".
    """

    def __init__(self, vocabulary: str, scratch: str, max_length: int, compression: str) -> None:
        self.vocabulary_path, self.scratch = vocabulary, scratch
        self.max_length, self.compression = max_length, compression

    def setup(self) -> None:
        self.vocabulary = read_table(self.vocabulary_path)["item"].combine_chunks()

    def process(self, partition: Partition) -> Iterator[Shard]:
        records = SequenceRecords(read_table(partition.path).to_batches()[0], self.vocabulary, self.max_length)
        for split in SPLIT_NAMES:
            count = len(records.splits[split].user)
            if count:
                # Progress reads the partition from the name; a retried bundle writes another file.
                path = Path(self.scratch) / f"shard-{partition.number:05d}-{split}-{uuid.uuid4().hex}"
                with path.open("wb") as file:
                    digest = self._write(file, records, split, count)
                yield Shard(split, partition.number, str(path), count, path.stat().st_size, digest)

    def _write(self, file: BinaryIO, records: SequenceRecords, split: str, count: int) -> str:
        digest = hashlib.blake2b(self.compression.encode(), digest_size=16)
        # No name and no time in the gzip header: equal records must give equal files.
        packer = (
            gzip.GzipFile("", "wb", 6, file, mtime=0) if self.compression == "gzip" else contextlib.nullcontext(file)
        )
        with packer as out:
            for first in range(0, count, BATCH_RECORDS):
                framed, checks = frame(records.encode(split, first, first + BATCH_RECORDS))
                out.write(framed)
                # The records' own checksums stand for their bytes: hashing every byte again would cost a second a GB.
                digest.update(len(framed).to_bytes(8, "little") + checks.tobytes())
        return digest.hexdigest()


def read_table(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads an Arrow file of pass 1, whole or only some columns."""
    options = pa.ipc.IpcReadOptions()
    with pa.OSFile(path, "rb") as file, pa.ipc.open_file(file) as reader:
        if columns is None:
            return reader.read_all()
        options.included_fields = [reader.schema.get_field_index(name) for name in columns]
        file.seek(0)
        with pa.ipc.open_file(file, options=options) as chosen:
            return chosen.read_all()

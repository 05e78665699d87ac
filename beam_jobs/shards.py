"""Pass 2: units of a view -> TFRecord shards, one a split."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import apache_beam as beam

from beam_jobs.lookups import Lookups
from beam_jobs.tfrecord import frame
from beam_jobs.views.view import RecordSet, View
from tfrec_zoo.dataset_spec import DIGEST_BYTES

BATCH_RECORDS = 4096


class Work(NamedTuple):
    """One element of pass 2.

    Attributes:
        view: Name of the view.
        number: Which of its units; shards stand in this order.
        unit: What the view makes its records of.
    """

    view: str
    number: int
    unit: Any


class Shard(NamedTuple):
    """A written shard: a row of the manifest.

    Attributes:
        view, split: What it holds.
        number: Of its unit.
        path: Its temporary name.
        records, bytes: What readers check.
        digest: Of the records' checksums; equal digests mean equal records.
    """

    view: str
    split: str
    number: int
    path: str
    records: int
    bytes: int
    digest: str


class EncodeShards(beam.DoFn):
    """Writes shards under temporary names: Work -> Shard...

    Args:
        views: Those that the elements name.
        lookups: Vocabularies and features.
        scratch: Existing folder that every worker can write to.
        compression: "none" or "gzip".
    """

    def __init__(self, views: Sequence[View], lookups: Lookups, scratch: str, compression: str) -> None:
        self.views, self.lookups = {view.name: view for view in views}, lookups
        self.scratch, self.compression = scratch, compression

    def process(self, work: Work) -> Iterator[Shard]:
        for records in self.views[work.view].record_sets(work.unit, self.lookups):
            if records.size:
                # Progress reads view and unit from the name; a retried bundle writes another file.
                path = Path(self.scratch) / f"shard-{work.view}-{work.number:05d}-{uuid.uuid4().hex}"
                with path.open("wb") as file:
                    digest = self._write(file, records)
                size = path.stat().st_size
                yield Shard(work.view, records.split, work.number, str(path), records.size, size, digest)

    def _write(self, file: BinaryIO, records: RecordSet) -> str:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        # No name and no time in the gzip header: equal records must give equal files.
        packer = (
            gzip.GzipFile("", "wb", 6, file, mtime=0) if self.compression == "gzip" else contextlib.nullcontext(file)
        )
        with packer as out:
            for first in range(0, records.size, BATCH_RECORDS):
                framed, checks = frame(records.encode(first, first + BATCH_RECORDS))
                out.write(framed)
                # The records' own checksums stand for their bytes: hashing every byte again would cost a second a GB.
                digest.update(checks.tobytes())
        return digest.hexdigest()

"""Records -> shards that dataset.json lists, for what adds to a dataset without a Beam job."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import DIGEST_BYTES, FileSpec, shard_path

SHARD_RECORDS = 100_000
_LENGTH, _CHECK = 8, 4
_ORDER = 4
"""Beside the seed, so that the order does not follow other numbers that are drawn from it."""


class ShardWriter:
    """Writes shards of one view; equal records give equal files.

    Args:
        folder: Of the dataset.
        view: The view.
        name: How the shards' names begin.
        compression: "none" or "gzip".
        shuffle_seed: Puts the records of a shard in a random order, for views whose readers mix shards and a buffer;
            None leaves them as they come.
    """

    def __init__(
        self, folder: Path, view: str, name: str, compression: str = "none", shuffle_seed: int | None = None
    ) -> None:
        self.folder, self.view, self.name, self.compression = folder, view, name, compression
        self._shuffle_seed = shuffle_seed
        self._waiting: list[bytes] = []
        self._written: list[tuple[Path, int, str]] = []
        (folder / view).mkdir(parents=True, exist_ok=True)

    def write(self, record: bytes) -> None:
        """Adds a serialized record."""
        self._waiting.append(record)
        if len(self._waiting) == SHARD_RECORDS:
            self._write_shard()

    def finish(self, *splits: str) -> list[FileSpec]:
        """Gives the shards their names.

        Args:
            splits: What they are listed as: every shard once for each.

        Returns:
            Rows of dataset.json; none where nothing was written.
        """
        if self._waiting:
            self._write_shard()
        content = hashlib.blake2b("".join(digest for _, _, digest in self._written).encode(), digest_size=5).hexdigest()
        files = []
        for number, (path, records, digest) in enumerate(self._written):
            name = shard_path(self.view, self.name, number, len(self._written), content, self.compression)
            path.replace(self.folder / name)
            size = (self.folder / name).stat().st_size
            files += [FileSpec(name, self.view, split, records, size, digest) for split in splits]
        return files

    def _write_shard(self) -> None:
        number = len(self._written)
        if self._shuffle_seed is not None:
            order = np.random.default_rng([self._shuffle_seed, _ORDER, number]).permutation(len(self._waiting))
            self._waiting = [self._waiting[place] for place in order]
        path = self.folder / self.view / f".{self.name}-{number:05d}"
        packed = "GZIP" if self.compression == "gzip" else ""
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type=packed)) as writer:
            for record in self._waiting:
                writer.write(record)
        self._written.append((path, len(self._waiting), records_digest(path, self.compression)))
        self._waiting = []


def records_digest(path: Path, compression: str) -> str:
    """Digest of a TFRecord file as dataset.json has it: of the checksums that the file holds of its records."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with gzip.open(path) if compression == "gzip" else path.open("rb") as file:
        for checksum in _checksums(cast(BinaryIO, file)):
            digest.update(checksum)
    return digest.hexdigest()


def _checksums(file: BinaryIO) -> Iterator[bytes]:
    # A record is its length, that one's checksum, its bytes and their checksum.
    while head := file.read(_LENGTH + _CHECK):
        (length,) = struct.unpack("<Q", head[:_LENGTH])
        file.read(length)
        yield file.read(_CHECK)

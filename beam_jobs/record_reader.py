"""TFRecord files -> serialised records, every checksum checked; without TensorFlow."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import google_crc32c

from tfrec_zoo.errors import DataError

_HEAD, _CHECK = struct.Struct("<QI"), struct.Struct("<I")
_LARGEST = 1 << 31
"""No record is that long; a damaged length must not be believed."""


def read_records(path: Path) -> Iterator[tuple[bytes, int]]:
    """Reads a file.

    Args:
        path: Gzipped if its name ends with .gz.

    Yields:
        The record, and its masked CRC32C as it stands in the file.

    Raises:
        DataError: A checksum is wrong, or the file ends within a record; says which one.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as opened:
            file = cast(IO[bytes], opened)
            while head := file.read(_HEAD.size):
                yield _record(file, head)
                number += 1
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path}, record {number} (counted from 0): {error}. Run `tfrec prepare` again.") from error


def _record(file: IO[bytes], head: bytes) -> tuple[bytes, int]:
    if len(head) < _HEAD.size:
        raise ValueError("the file ends within a record")
    length, check = _HEAD.unpack(head)
    if length > _LARGEST or _masked(head[:8]) != check:
        raise ValueError("the checksum of the length is wrong")
    record, foot = file.read(length), file.read(_CHECK.size)
    if len(record) < length or len(foot) < _CHECK.size:
        raise ValueError("the file ends within a record")
    (check,) = _CHECK.unpack(foot)
    if _masked(record) != check:
        raise ValueError("the checksum of the record is wrong")
    return record, check


def _masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

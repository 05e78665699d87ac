"""One checkpoint in one file, whole or refused: a header, the arrays, and a digest over both.

    magic | length of the header (8 bytes, little endian) | header (JSON) | arrays, raw | SHA-256 of all before

Written to a temporary name, synced, then renamed: a reader meets the earlier file or the whole new one. The digest
finds what a rename cannot: a disk that lost blocks, a copy that stopped half-way, a flipped bit.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = b"tfrec-zoo checkpoint 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size


class DamagedCheckpointError(Exception):
    """A checkpoint file is not what was written: cut short, changed, or not a checkpoint."""


def write(path: Path, meta: Mapping[str, Any], arrays: Sequence[tuple[str, np.ndarray]]) -> None:
    """Writes a checkpoint, atomically; a failure leaves neither the file nor a part of it.

    Args:
        path: The file; its directory exists.
        meta: Values that JSON can hold.
        arrays: (name, array) of any dtype and shape; names may repeat.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
    described = [{"name": name, "dtype": array.dtype.name, "shape": array.shape} for name, array in arrays]
    header = json.dumps({"meta": meta, "arrays": described}).encode()
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for part in (_MAGIC, len(header).to_bytes(8, "little"), header):
                digest.update(part)
                file.write(part)
            for _, array in arrays:
                content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
                digest.update(content)
                file.write(content)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
    """Reads a checkpoint.

    Args:
        path: What `write` wrote.

    Returns:
        Its meta and its (name, array) pairs; the arrays are read-only.

    Raises:
        DamagedCheckpointError: The file is missing, unreadable, or not the one that was written.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise DamagedCheckpointError(f"{path} cannot be read: {error.strerror}") from error
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if body[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != digest:
        raise DamagedCheckpointError(f"{path} is damaged: its checksum does not fit its {len(content)} bytes")
    start = len(_MAGIC) + 8
    end = start + int.from_bytes(body[len(_MAGIC) : start], "little")
    header = json.loads(bytes(body[start:end]))
    arrays = []
    for described in header["arrays"]:
        dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
        count = math.prod(shape)
        arrays.append((described["name"], np.frombuffer(body, dtype, count, end).reshape(shape)))
        end += count * dtype.itemsize
    return header["meta"], arrays

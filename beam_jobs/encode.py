"""Columns -> serialised tf.train.Example, a whole batch at a time, without TensorFlow.

The bytes equal those of deterministic protobuf (`SerializeToString(deterministic=True)`: features sorted by name). A
record is a row of pieces: every feature is a short header, which depends on its name and payload length only, and a
payload, which is a range of values that were packed once for the whole batch. Arrow joins all records' pieces in C++.

    message Example { Features features = 1; }    message Features { map<string, Feature> feature = 1; }
    message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.hashing import binary_parts

_KIND_TAGS = {"bytes": b"\x0a", "float32": b"\x12", "int64": b"\x1a"}


class PackedValues(NamedTuple):
    """Values in their wire format, one after the other.

    Attributes:
        dtype: "int64", "float32" or "bytes".
        data: uint8 (bytes,).
        offsets: int64 (values + 1,), where each value begins in `data`.
    """

    dtype: str
    data: np.ndarray
    offsets: np.ndarray


class Feature(NamedTuple):
    """One feature of a batch of records.

    Attributes:
        name: Its key in the record.
        values: The packed values that all records draw from.
        starts, ends: int64 (records,); record r holds `values[starts[r]:ends[r]]`, for bytes exactly one value.
        present: bool (records,), False where the record lacks the feature; None: every record has it.
    """

    name: str
    values: PackedValues
    starts: np.ndarray
    ends: np.ndarray
    present: np.ndarray | None = None


def pack(values: np.ndarray | pa.BinaryArray) -> PackedValues:
    """Packs integers as varints, floats as float32, ids as bytes.

    Args:
        values: Integers or floats (values,), or a binary array without nulls.

    Raises:
        TypeError: Values of another type.
    """
    if isinstance(values, pa.BinaryArray):
        offsets, data = binary_parts(values)
        return PackedValues("bytes", data, offsets)
    if values.dtype.kind == "f":
        return PackedValues("float32", values.astype("<f4").view(np.uint8), np.arange(len(values) + 1) * 4)
    if values.dtype.kind in "iu":
        return PackedValues("int64", *_varints(values.astype(np.int64)))
    raise TypeError(f"cannot pack values of dtype {values.dtype}")


def encode_examples(features: Sequence[Feature]) -> pa.LargeBinaryArray:
    r"""Serialises a batch of tf.train.Example.

    Args:
        features: At least one; all of the same number of records.

    Returns:
        One serialised record an element.

    Example:
        >>> items = Feature("items", pack(np.array([4, 5, 6])), np.array([0, 1]), np.array([1, 3]))
        >>> encode_examples([items])[1].as_py()
        b'\n\x11\n\x0f\n\x05items\x12\x06\x1a\x04\n\x02\x05\x06'
    """
    pieces: list[pa.Array] = []
    size = np.zeros(len(features[0].starts), np.int64)
    for feature in sorted(features, key=lambda feature: feature.name.encode()):
        header, payload, lengths = _pieces(feature)
        pieces += [header, payload]
        size += lengths
    prefix, _ = _by_length(size, lambda length: b"\x0a" + _varint(length))
    return _join([prefix, *pieces])


def _pieces(feature: Feature) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """Header and payload of every record, and the length of both together."""
    name, (dtype, data, offsets), starts, ends, present = feature
    first, last = offsets[starts], offsets[ends]
    length = last - first
    if present is None:
        header, header_length = _by_length(length, lambda size: _header(name, dtype, size))
        return header, _ranges(data, first, last), header_length + length
    last = np.where(present, last, first)
    # -1 stands for "no feature": neither a header nor a payload.
    coded = np.where(present, length, -1)
    header, header_length = _by_length(coded, lambda size: _header(name, dtype, size) if size >= 0 else b"")
    return header, _ranges(data, first, last), header_length + last - first


@lru_cache(maxsize=100_000)
def _header(name: str, dtype: str, length: int) -> bytes:
    """Everything of a map entry that stands before its payload of `length` bytes."""
    # proto3 writes an empty packed list as nothing at all, but one empty string as a field of length 0.
    values = b"" if length == 0 and dtype != "bytes" else b"\x0a" + _varint(length)
    kind = _KIND_TAGS[dtype] + _varint(len(values) + length)
    feature_length = len(kind) + len(values) + length
    key = name.encode()
    entry = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(feature_length)
    return b"\x0a" + _varint(len(entry) + feature_length) + entry + kind + values


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Varints of int64 values: the bytes, and the offset of each value."""
    unsigned = values.view(np.uint64)
    highest = int(unsigned.max()) if len(values) else 0
    width = max(1, -(-highest.bit_length() // 7))
    cells = np.empty((len(values), width), np.uint8)
    used = np.ones((len(values), width), bool)
    rest = unsigned
    for column in range(width):
        cells[:, column] = rest & np.uint64(0x7F)
        if column:
            used[:, column] = rest != 0
            cells[:, column - 1] |= used[:, column].view(np.uint8) << 7
        rest = rest >> np.uint64(7)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(used.sum(axis=1), out=offsets[1:])
    return (cells.ravel() if offsets[-1] == cells.size else cells[used]), offsets


def _by_length(lengths: np.ndarray, make: Callable[[int], bytes]) -> tuple[pa.Array, np.ndarray]:
    """Bytes that depend on a length only: made once for every length that occurs. Also returns their own lengths."""
    unique, inverse = np.unique(lengths, return_inverse=True)
    table = [make(int(length)) for length in unique]
    sizes = np.array([len(entry) for entry in table], np.int64)
    return pa.array(table, pa.large_binary()).take(pa.array(inverse)), sizes[inverse]


def _ranges(data: np.ndarray, first: np.ndarray, last: np.ndarray) -> pa.Array:
    """The byte ranges [first, last) of `data`, one an element."""
    count = len(first)
    if (first[1:] == last[:-1]).all():
        return binary_array(np.append(first, last[-1:]), data)
    if (first[1:] >= last[:-1]).all():
        # In order, with gaps: range, gap, range, ... is one Arrow array over the same memory; take every other one.
        return binary_array(np.stack([first, last], axis=1).ravel(), data).take(pa.array(np.arange(count) * 2))
    lengths = last - first
    offsets = np.append(0, np.cumsum(lengths))
    return binary_array(offsets, data[np.repeat(first - offsets[:-1], lengths) + np.arange(offsets[-1])])


def binary_array(offsets: np.ndarray, data: np.ndarray) -> pa.LargeBinaryArray:
    """An Arrow array over numpy memory: element i is `data[offsets[i]:offsets[i + 1]]`."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.large_binary(), max(len(offsets) - 1, 0), buffers)


def _join(pieces: Sequence[pa.Array]) -> pa.LargeBinaryArray:
    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))

"""The framing of a TFRecord file: length, its CRC32C, the record, its CRC32C."""

from __future__ import annotations

import itertools

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.encode import binary_array


def frame(records: pa.LargeBinaryArray) -> tuple[pa.Buffer, np.ndarray]:
    """Frames serialised records.

    Args:
        records: Without nulls.

    Returns:
        The bytes of a TFRecord file, and the masked CRC32C of every record, uint32 (records,).
    """
    count = len(records)
    if not count:
        return pa.py_buffer(b""), np.zeros(0, np.uint32)
    _, offset_buffer, data_buffer = records.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[records.offset : records.offset + count + 1]
    # google_crc32c takes bytes only, so the batch is copied once and sliced.
    data, bounds = data_buffer.to_pybytes(), offsets.tolist()
    value = google_crc32c.value
    checks = masked(np.array([value(data[a:b]) for a, b in itertools.pairwise(bounds)], np.uint32))

    head = np.empty(count, np.dtype([("length", "<u8"), ("check", "<u4")]))
    head["length"] = np.diff(offsets)
    lengths, inverse = np.unique(head["length"], return_inverse=True)
    head["check"] = masked(np.array([value(length.tobytes()) for length in lengths], np.uint32))[inverse]
    framed = pc.binary_join_element_wise(
        binary_array(np.arange(count + 1) * 12, head.view(np.uint8)),
        records,
        binary_array(np.arange(count + 1) * 4, checks.astype("<u4").view(np.uint8)),
        pa.scalar(b"", pa.large_binary()),
    )
    end = int(np.frombuffer(framed.buffers()[1], np.int64)[count])
    return framed.buffers()[2].slice(0, end), checks


def masked(crc: np.ndarray) -> np.ndarray:
    """TFRecord's rotation of a CRC32C, so that a CRC of data that holds CRCs stays useful; uint32 in, uint32 out."""
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)

"""`tfrec bench encode`: records/s of the batch encoder of beam_jobs beside tf.train.Example, by length of the history.

Both serialise and frame the same train records; the bytes must be equal, or there is no figure.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import tensorflow as tf

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.tfrecord import frame, masked
from tfrec_zoo.errors import ConfigError, TfrecError

LENGTHS = (10, 50, 200)
PARTITION_ROWS, BATCH_RECORDS = 250_000, 4096
_RUNS = 3


def run(
    data: str | os.PathLike[str] | None = None, lengths: Sequence[int] = LENGTHS, records: int = 20_000
) -> list[dict[str, Any]]:
    """Measures both encoders.

    Args:
        data: Must be None: the records are random.
        lengths: Mean events of a record; a record has up to twice as many.
        records: Of each length.

    Returns:
        Two rows a length: CPU microseconds a record, records/s of CPU time, and how many times as fast.

    Raises:
        ConfigError: `data` was given.
        TfrecError: The two encoders disagree.
    """
    if data is not None:
        raise ConfigError("the benchmark 'encode' makes its own records: leave --data out.")
    rows = []
    for length in lengths:
        columns = _Columns(records, length)
        ours, our_bytes = _timed(_batches, columns)
        theirs, their_bytes = _timed(_one_by_one, columns)
        if our_bytes != their_bytes:
            raise TfrecError(f"the encoders disagree on records of about {length} events")
        for way, seconds in {"beam_jobs.encode": ours, "tf.train.Example (upb)": theirs}.items():
            rows.append(
                {
                    "way": way,
                    "events": length,
                    "bytes_a_record": round(len(our_bytes) / records),
                    "cpu_us_a_record": round(seconds / records * 1e6, 2),
                    "records_per_s": round(records / seconds),
                    "times_as_fast": round(theirs / seconds, 2),
                }
            )
    return rows


class _Columns:
    """Random train records: events of all of them in one array, and where each begins."""

    def __init__(self, records: int, length: int) -> None:
        rng = np.random.default_rng(length)
        self.offsets = np.append(0, np.cumsum(rng.integers(1, 2 * length, records)))
        events = int(self.offsets[-1])
        self.items = np.minimum(rng.zipf(1.2, events), 50_000) + 3
        self.times = 1_600_000_000 + rng.integers(0, 30_000_000, events)
        self.ratings = rng.integers(1, 6, events).astype(np.float32)
        self.users = [f"user-{user}".encode() for user in rng.integers(0, 10**9, records)]


def _timed(encode: Callable[[_Columns, int], list[Any]], columns: _Columns) -> tuple[float, bytes]:
    """Best CPU seconds of a few runs, and the bytes."""
    best = math.inf
    for _ in range(_RUNS):
        start = time.process_time()
        parts = encode(columns, len(columns.users))
        best = min(best, time.process_time() - start)
    return best, b"".join(parts)


def _batches(columns: _Columns, count: int) -> list[bytes | pa.Buffer]:
    """As the job does it: partition by partition, each packed once and encoded in batches."""
    parts = []
    first = 0
    while first < count:
        last = int(np.searchsorted(columns.offsets, columns.offsets[first] + PARTITION_ROWS))
        last = min(max(last, first + 1), count)
        offsets = columns.offsets[first : last + 1]
        start, end = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
        users = pack(pa.array(columns.users[first:last], pa.binary()))
        window = slice(offsets[0], offsets[-1])
        events = {name: pack(getattr(columns, name)[window]) for name in ("items", "times", "ratings")}
        for batch in range(0, last - first, BATCH_RECORDS):
            row = np.arange(batch, min(batch + BATCH_RECORDS, last - first))
            features = [Feature("user", users, row, row + 1)]
            features += [Feature(name, values, start[row], end[row]) for name, values in events.items()]
            parts.append(frame(encode_examples(features))[0])
        first = last
    return parts


def _one_by_one(columns: _Columns, count: int) -> list[bytes]:
    value, parts = google_crc32c.value, []
    for row in range(count):
        window = slice(columns.offsets[row], columns.offsets[row + 1])
        example = tf.train.Example()
        feature = example.features.feature
        feature["user"].bytes_list.value.append(columns.users[row])
        feature["items"].int64_list.value.extend(columns.items[window].tolist())
        feature["times"].int64_list.value.extend(columns.times[window].tolist())
        feature["ratings"].float_list.value.extend(columns.ratings[window].tolist())
        record = example.SerializeToString(deterministic=True)
        size = len(record).to_bytes(8, "little")
        checks = masked(np.array([value(size), value(record)], np.uint32)).tobytes()
        parts += [size, checks[:4], record, checks[4:]]
    return parts

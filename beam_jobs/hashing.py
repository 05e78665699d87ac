"""A 64-bit hash of ids, vectorised: the same on every machine, worker and run.

Python's own `hash` is salted and hashlib works value by value; this one reads eight bytes of every id at a time. It
spreads users over partitions and fingerprints the split; it is not meant against someone who looks for collisions.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_TAIL_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)


def binary_parts(values: pa.BinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64[n + 1] and data uint8[...] of a binary array without nulls; `offsets` point into `data`."""
    _, offset_buffer, data_buffer = values.buffers()
    offsets = np.zeros(1, np.int64)
    if len(values):
        offsets = np.frombuffer(offset_buffer, np.int32)[values.offset : values.offset + len(values) + 1].astype(
            np.int64
        )
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def mix(state: np.ndarray) -> np.ndarray:
    """Scrambles uint64 values (the finaliser of splitmix64, a bijection)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def hash_ids(ids: pa.BinaryArray, seed: int = 0) -> np.ndarray:
    """Hashes of ids.

    Args:
        ids: Binary array without nulls.
        seed: Another seed is another, independent hash.

    Returns:
        uint64 (n,).
    """
    offsets, data = binary_parts(ids)
    starts, lengths = offsets[:-1], np.diff(offsets)
    padded = np.zeros(len(data) + 16, np.uint8)
    padded[: len(data)] = data
    # The eight bytes that begin at every position: overlapping windows over the same memory.
    words: np.ndarray = np.ndarray((len(data) + 9,), "<u8", buffer=padded, strides=(1,))
    state = mix(lengths.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << 64)))
    active = np.flatnonzero(lengths)
    position = 0
    while len(active):
        left = np.minimum(lengths[active] - position, 8)
        word = words[starts[active] + position] & _TAIL_MASKS[left]
        state[active] = mix(state[active] ^ word)
        position += 8
        active = active[lengths[active] > position]
    return state

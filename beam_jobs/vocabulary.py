"""Vocabularies: most frequent in train first, ties by raw value; and the look-up of ids in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV

_WRITE_VALUES = 100_000


def rank(counts: pa.Table, at_least: int) -> pa.Table:
    """The vocabulary.

    Args:
        counts: Raw values (binary, each once) in the first column, int64 in `count`, perhaps more columns.
        at_least: Train events that a value needs.

    Returns:
        The same columns, by falling count, then by the bytes of the value; row n has id n + FIRST_ITEM_ID.
    """
    kept = counts.filter(pc.greater_equal(counts["count"], at_least))
    return kept.sort_by([("count", "descending"), (kept.schema.names[0], "ascending")]).combine_chunks()


def look_up(values: pa.DictionaryArray, vocabulary: pa.Array) -> np.ndarray:
    """Ids of dictionary-encoded raw values: int64 (n,), OOV for those that the vocabulary lacks."""
    places = pc.index_in(values.dictionary, value_set=vocabulary)
    ids = places.fill_null(OOV - FIRST_ITEM_ID).to_numpy(zero_copy_only=False).astype(np.int64) + FIRST_ITEM_ID
    return ids[values.indices.to_numpy()]


def write(values: pa.ChunkedArray | pa.Array, path: Path) -> None:
    """Writes raw values, one a line."""
    separator, nothing = pa.scalar(b"\n", pa.large_binary()), pa.scalar(b"", pa.large_binary())
    with path.open("wb") as file:
        for first in range(0, len(values), _WRITE_VALUES):
            part = values[first : first + _WRITE_VALUES]
            part = part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part
            lines = pc.binary_join_element_wise(part.cast(pa.large_binary()), nothing, separator)
            file.write(b"".join(lines.to_pylist()))

"""What a log reader yields: raw columns, with the place of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

CHUNK_ROWS = 500_000
CHUNK_BYTES = 64 << 20
"""About as many rows, or bytes, as a chunk has at most; a worker holds one chunk at a time."""


class Unparsed(NamedTuple):
    """A row whose columns could not be told apart.

    Attributes:
        row: The 1-based data row.
        reason: Why.
        text: The row as it stands in the file.
    """

    row: int
    reason: str
    text: str


class RawChunk(NamedTuple):
    """Some rows of a source.

    Attributes:
        columns: Role ("user", "item", "time" and perhaps more) -> values, all of the same length; text and bytes as
            `string` and `binary`, never dictionary-encoded.
        rows: int64, the 1-based data row of each value.
        unparsed: Rows that are in no column.
    """

    columns: Mapping[str, pa.Array]
    rows: np.ndarray
    unparsed: Sequence[Unparsed]

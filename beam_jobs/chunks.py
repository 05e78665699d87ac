"""What a log reader yields: raw columns, with the place of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

CHUNK_ROWS = 500_000
"""About as many rows as a chunk has at most; a worker holds one chunk at a time."""


class RawChunk(NamedTuple):
    """Some rows of a source.

    Attributes:
        columns: Role ("user", "item", "time" and perhaps "rating") -> values, all of the same length; text and bytes as
            `string` and `binary`, never dictionary-encoded.
        rows: int64, the 1-based data row of each value.
        wrong_width: (row, text) of CSV rows with a wrong number of columns; they are in no column.
    """

    columns: Mapping[str, pa.Array]
    rows: np.ndarray
    wrong_width: Sequence[tuple[int, str]]

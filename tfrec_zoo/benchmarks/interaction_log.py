"""A log for measuring speed: about 50 rows a user, 50,000 items with Zipf frequencies, times and ratings at random.

It has no structure to learn (that is what `tfrec synth` is for), and the same rows and seed give the same files.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

ITEMS, ROWS_A_USER = 50_000, 50
_FILES = 4
_ROW_GROUP = 250_000


def write_log(folder: Path, rows: int, file_format: str, seed: int = 0) -> list[str]:
    """Writes the log as files of equal length.

    Args:
        folder: Existing directory.
        rows: Of the whole log.
        file_format: "csv" or "parquet".
        seed: Of everything.

    Returns:
        The paths.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    rng = np.random.default_rng(seed)
    cumulated = np.cumsum(1.0 / np.arange(1, ITEMS + 1))
    rank_to_item = rng.permutation(ITEMS)
    edges = np.linspace(0, rows, _FILES + 1).astype(int)
    paths = []
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        size = int(last - first)
        columns = {
            "user_id": rng.integers(0, max(rows // ROWS_A_USER, 1), size),
            "item_id": rank_to_item[np.searchsorted(cumulated, rng.random(size) * cumulated[-1])],
            "timestamp": 1_600_000_000 + rng.integers(0, 30_000_000, size),
            "rating": rng.integers(1, 6, size).astype(np.float32),
        }
        path = folder / f"log-{number}.{file_format}"
        if file_format == "parquet":
            pa.parquet.write_table(pa.table(columns), path, row_group_size=_ROW_GROUP)
        else:
            pa.csv.write_csv(pa.table(columns), path)
        paths.append(str(path))
    return paths

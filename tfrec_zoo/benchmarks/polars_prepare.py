"""The opponent of the Beam job in `tfrec bench prepare`: the same records from the same log with polars, without Beam.

It sorts the log by user, time, file and row, splits leave-one-out, ranks items by train frequency and writes train,
valid and test records with the encoder of beam_jobs, so that everything but the encoder is compared. It holds the whole
log in memory, judges no row and writes no user vocabulary.

    python -m tfrec_zoo.benchmarks.polars_prepare OUTPUT FILE...
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

THREADS = 2
MIN_ITEM_COUNT = 2
_BATCH = 4096
_OOV, _FIRST_ITEM_ID = 1, 4


def prepare(output: Path, files: Sequence[str]) -> dict[str, Any]:
    """Writes OUTPUT/train.tfrecord, valid.tfrecord and test.tfrecord.

    Args:
        output: Directory; made when missing.
        files: CSV or Parquet files with the default columns and integer ids.

    Returns:
        `rows`, `items`, `sequences` and `bytes`.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", str(THREADS))
    import polars as pl

    scan = pl.scan_parquet if files[0].endswith(".parquet") else pl.scan_csv
    log = scan(list(files)).with_row_index("row").sort("user_id", "timestamp", "row").drop("row").collect()
    rows, length = len(log), pl.len().over("user_id")
    log = log.with_columns(length=length, left=length - pl.int_range(pl.len()).over("user_id") - 1)
    train = log.filter((pl.col("left") >= 2) | (pl.col("length") < 3))
    words = (
        train.group_by("item_id")
        .len()
        .filter(pl.col("len") >= MIN_ITEM_COUNT)
        # Ties by the bytes of the raw id, as in the job: then the files have the same length.
        .sort("len", pl.col("item_id").cast(pl.String), descending=[True, False])
        .select("item_id", id=pl.int_range(pl.len()) + _FIRST_ITEM_ID)
    )
    log = log.join(words, on="item_id", how="left", maintain_order="left").with_columns(pl.col("id").fill_null(_OOV))
    output.mkdir(parents=True, exist_ok=True)
    user, lengths = (log[name].to_numpy() for name in ("user_id", "length"))
    events = {"items": "id", "times": "timestamp", "ratings": "rating"}
    columns = {name: log[column].to_numpy() for name, column in events.items()}
    start = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
    return {"rows": rows, "items": len(words), **_write(output, user[start], start, lengths[start], columns)}


def _write(
    output: Path, users: np.ndarray, start: np.ndarray, length: np.ndarray, columns: dict[str, np.ndarray]
) -> dict[str, int]:
    import pyarrow as pa

    from beam_jobs.encode import Feature, encode_examples, pack
    from beam_jobs.tfrecord import frame

    end, held_out = start + length, length >= 3
    packed = {
        name: pack(values.astype(np.float32 if name == "ratings" else np.int64)) for name, values in columns.items()
    }
    names = pack(pa.array(users).cast(pa.string()).cast(pa.binary()))
    one = pack(np.ones(1, np.int64))
    sequences = size = 0
    for split, cut in {"train": 2, "valid": 2, "test": 1}.items():
        rows = np.arange(len(start)) if split == "train" else np.flatnonzero(held_out)
        with (output / f"{split}.tfrecord").open("wb") as file:
            for first in range(0, len(rows), _BATCH):
                batch = rows[first : first + _BATCH]
                a, b = start[batch], end[batch] - cut * held_out[batch]
                features = [Feature("user", names, batch, batch + 1)]
                features += [Feature(name, values, a, b) for name, values in packed.items()]
                if split == "train":
                    none = np.zeros(len(batch), np.int64)
                    features.append(Feature("train_only", one, none, none + 1, ~held_out[batch]))
                else:
                    features.append(Feature("target", packed["items"], b, b + 1))
                    features.append(Feature("seen", packed["items"], a, b))
                size += file.write(frame(encode_examples(features))[0])
        sequences += len(rows)
    return {"sequences": sequences, "bytes": size}


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]), sys.argv[2:])))

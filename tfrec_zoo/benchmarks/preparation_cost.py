"""`tfrec bench prepare`: the Beam job beside polars on the same log: rows/s, CPU seconds and peak memory.

Both run as processes of their own, imports included, one after the other; they must write equally many bytes.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrec_zoo.benchmarks.interaction_log import write_log
from tfrec_zoo.benchmarks.measured_process import measured
from tfrec_zoo.benchmarks.polars_prepare import MIN_ITEM_COUNT
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, TfrecError

FORMATS = ("csv", "parquet")


def run(
    data: str | os.PathLike[str] | None = None, rows: Sequence[int] = (2_000_000,), formats: Sequence[str] = FORMATS
) -> list[dict[str, Any]]:
    """Measures the job and its opponent.

    Args:
        data: Path or glob of a log with integer ids, the default columns and no damaged row; default: generated logs.
        rows: Lengths of the generated logs.
        formats: Their formats, of `FORMATS`.

    Returns:
        Two rows a log: the job's, its cost as a multiple of polars (`cpu_ratio`, `memory_ratio`) and polars'.

    Raises:
        DataError: `data` matches no file.
        TfrecError: One of the two failed, or they wrote different amounts.
    """
    if data is not None:
        files = sorted(glob.glob(str(data)))
        if not files:
            raise DataError(f"--data {data} matches no file: give a log, or leave it out.")
        return _compare(files)
    measurements = []
    for count in rows:
        for file_format in formats:
            with tempfile.TemporaryDirectory() as folder:
                measurements += _compare(write_log(Path(folder), count, file_format))
    return measurements


def _compare(files: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "DATA"
        flags = ["--output", str(output), "--min-item-count", str(MIN_ITEM_COUNT), "--quiet"]
        job = [sys.executable, "-c", JOB, "--input", *files, *flags]
        ours = measured(job)
        spec = DatasetSpec.read(output)
        shards = [file for file in spec.files if file.view == "sequences"]
        ours["said"] |= {"bytes": sum(file.bytes for file in shards), "items": spec.catalog_size}
        opponent = [sys.executable, "-m", "tfrec_zoo.benchmarks.polars_prepare", f"{folder}/polars", *files]
        theirs = measured(opponent)
    for name in ("rows", "sequences", "items", "bytes"):
        if ours["said"][name] != theirs["said"][name]:
            raise TfrecError(
                f"not the same work: {name} is {ours['said'][name]} here, {theirs['said'][name]} in polars"
            )
    return [
        _row("tfrec prepare", files, ours, theirs),
        _row("polars, no Beam", files, theirs, theirs),
    ]


def _row(way: str, files: Sequence[str], cost: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    rows = cost["said"]["rows"]
    return {
        "way": way,
        "format": Path(files[0]).suffix[1:],
        "rows": rows,
        "seconds": cost["seconds"],
        "rows_per_s": round(rows / cost["seconds"]),
        "cpu_s": cost["cpu_s"],
        "peak_rss_mib": cost["peak_rss_mib"],
        "cpu_ratio": round(cost["cpu_s"] / reference["cpu_s"], 3),
        "memory_ratio": round(cost["peak_rss_mib"] / reference["peak_rss_mib"], 3),
    }


JOB = (
    "import argparse, json; import beam_jobs; parser = argparse.ArgumentParser(); beam_jobs.add_arguments(parser);"
    "print(json.dumps(beam_jobs.prepare(beam_jobs.PrepareOptions.from_args(parser.parse_args()))))"
)
"""`python -m beam_jobs.prepare --json -`, with the JSON on one line."""

if __name__ == "__main__":
    print(json.dumps(run(), indent=1))

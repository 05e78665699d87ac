"""The benchmarks by name, and what every one of them reports: its rows and the machine that they were measured on."""

from __future__ import annotations

import importlib
import os
import platform
from importlib import metadata
from typing import Any

from tfrec_zoo.errors import ConfigError

BENCHMARKS = {
    "evaluate": "tfrec_zoo.benchmarks.evaluation_cost",
    "serve": "tfrec_zoo.benchmarks.serving_latency",
    "train": "tfrec_zoo.benchmarks.training_throughput",
}


def bench(name: str, data: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Runs a benchmark.

    Args:
        name: Key of `BENCHMARKS`.
        data: A dataset directory to measure on; default: synthetic data of the benchmark's own.

    Returns:
        "name", "rows" (dicts with equal keys) and "env".

    Raises:
        ConfigError: No such benchmark.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"there is no benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}.")
    rows = importlib.import_module(BENCHMARKS[name]).run(data)
    env = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in ("tensorflow", "keras", "numpy")},
    }
    return {"name": name, "rows": rows, "env": env}

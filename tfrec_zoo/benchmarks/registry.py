"""The benchmarks by name, and what every one of them reports: its rows and the machine that they were measured on."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import platform
from importlib import metadata
from typing import Any

from tfrec_zoo.errors import ConfigError

BENCHMARKS = {
    "augment": "tfrec_zoo.benchmarks.augmentation_gain",
    "catalogue": "tfrec_zoo.benchmarks.catalogue_cost",
    "ctr": "tfrec_zoo.benchmarks.label_accuracy",
    "encode": "tfrec_zoo.benchmarks.encoding_cost",
    "evaluate": "tfrec_zoo.benchmarks.evaluation_cost",
    "index": "tfrec_zoo.benchmarks.index_cost",
    "pre-rank": "tfrec_zoo.benchmarks.pre_ranking_cost",
    "prepare": "tfrec_zoo.benchmarks.preparation_cost",
    "seqgan-cost": "tfrec_zoo.benchmarks.seqgan_cost",
    "seqgan-oracle": "tfrec_zoo.benchmarks.seqgan_oracle",
    "serve": "tfrec_zoo.benchmarks.serving_latency",
    "train": "tfrec_zoo.benchmarks.training_throughput",
    "transfer": "tfrec_zoo.benchmarks.transfer_gain",
}
WITHOUT_TENSORFLOW = ("prepare",)


def bench(name: str, data: str | os.PathLike[str] | None = None, **options: Any) -> dict[str, Any]:
    """Runs a benchmark.

    Args:
        name: Key of `BENCHMARKS`.
        data: A dataset directory to measure on (a log, for "prepare"); default: synthetic data of the benchmark's own.
        options: Arguments of the benchmark's `run`; None stands for its default.

    Returns:
        "name", "rows" (dicts with equal keys) and "env".

    Raises:
        ConfigError: No such benchmark, or it takes no such option.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"there is no benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}.")
    run = importlib.import_module(BENCHMARKS[name]).run
    given = {option: value for option, value in options.items() if value is not None}
    unknown = sorted(given.keys() - inspect.signature(run).parameters.keys())
    if unknown:
        raise ConfigError(f"the benchmark {name!r} takes no --{', --'.join(unknown)}.")
    rows = run(data, **given)
    env = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **_versions(),
    }
    return {"name": name, "rows": rows, "env": env}


def _versions() -> dict[str, str]:
    versions = {}
    for package in ("tensorflow", "keras", "numpy", "apache-beam", "pyarrow", "polars"):
        with contextlib.suppress(metadata.PackageNotFoundError):  # the extras may be missing
            versions[package] = metadata.version(package)
    return versions

"""Where a figure comes from: the dataset that a run was trained on, the machine, the versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import tensorflow as tf

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.runs.run_directory import RunDirectory

_PACKAGES = ("tfrec-zoo", "tensorflow", "keras", "numpy")


def check_same_split(run: RunDirectory, spec: DatasetSpec) -> None:
    """Refuses a run that was trained on another split: its train part may hold this one's targets.

    Raises:
        DataError: The run is finished and its split hash is not the dataset's.
    """
    trained_on = run.result().get("split_hash")
    if trained_on not in (None, spec.split.hash):
        raise DataError(
            f"{run.path} was trained on another split ({trained_on}) than {spec.directory} holds ({spec.split.hash}): "
            "its train part may contain these targets. Use the dataset it was trained on."
        )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on; "source" for a package that is not installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "source"
    return found


def hardware() -> dict[str, Any]:
    """Architecture, CPUs that this process may use, memory in GiB, GPUs by name."""
    gpus = [
        tf.config.experimental.get_device_details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        memory = None
    return {"machine": platform.machine(), "cpus": cpus, "memory_gib": memory, "gpus": gpus}

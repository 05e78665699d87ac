"""How a pipeline of this package is run, on any runner, and how its one outcome comes back.

The outcome travels through a file in a folder that driver and workers share: results that come back through the runner
are what runners disagree about most. Errors that a user can act on travel as elements (see shuffle.py); what a runner
itself raises becomes one line here.
"""

from __future__ import annotations

import logging
import os
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners import create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_jobs.runner_options import RunnerChoice
from tfrec_zoo.errors import ConfigError, DataError

_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"
_DASK_SECONDS = 10


class WriteOutcome(beam.DoFn):
    """Writes the only element of a pipeline to a file, for the driver to read: works on every runner.

    Args:
        path: In a folder that workers and driver share.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def process(self, outcome: Any) -> Iterator[None]:
        temporary = Path(f"{self.path}.{uuid.uuid4().hex}")
        temporary.write_bytes(pickle.dumps(outcome))
        temporary.replace(self.path)
        yield from ()


def run_pipeline(transform: beam.PTransform, outcome: Path, choice: RunnerChoice) -> Any:
    """Runs a transform from `PBegin` to a PCollection of one element, and returns that element.

    Args:
        transform: What to run.
        outcome: Name for the file that carries the element, in a folder that the workers share.
        choice: Where to run it.

    Raises:
        ConfigError: Flags that the runner needs are missing, or its package is.
        DataError: The runner failed, or its workers do not see the folder.
    """
    runner, options = _runner(choice)
    pipeline = beam.Pipeline(runner=runner, options=options)
    _ = pipeline | transform | "Write the outcome" >> beam.ParDo(WriteOutcome(str(outcome)))
    logger = logging.getLogger("apache_beam")
    level = logger.level
    # Beam would log the traceback of an exception that is raised here anyway.
    logger.setLevel(logging.CRITICAL)
    result: Any = None
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:
        raise DataError(_explain(str(error) or type(error).__name__, outcome.parent, choice)) from error
    finally:
        logger.setLevel(level)
        # Beam's DaskRunner leaves its client, and the threads of it, behind.
        if hasattr(result, "client"):
            result.client.close()
    try:
        return pickle.loads(outcome.read_bytes())
    except FileNotFoundError:
        raise DataError(_not_shared(outcome.parent, choice)) from None


def _runner(choice: RunnerChoice) -> tuple[Any, PipelineOptions]:
    if choice.shares_memory:
        # Flags are given, even though there are none: Beam would otherwise read those of the command line.
        return FnApiRunner(), PipelineOptions([])
    if choice.name == "multi_processing":
        workers = choice.workers or os.cpu_count() or 1
        return FnApiRunner(), PipelineOptions(
            ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
        )
    try:
        # Beam knows all but one by their short names.
        runner = create_runner({"DaskRunner": _DASK_RUNNER}.get(choice.name, choice.name))
    except ImportError as error:
        raise ConfigError(f"--runner {choice.name} is not installed: {error}") from error
    options = PipelineOptions([f"--runner={choice.name}", *choice.flags])
    problems = PipelineOptionsValidator(options, runner).validate()
    if problems:
        raise ConfigError(f"--runner {choice.name}: {'; '.join(' '.join(str(line).split()) for line in problems)}")
    if choice.name == "DaskRunner":
        _check_dask(options)
    return runner, options


def _check_dask(options: PipelineOptions) -> None:
    """Beam waits without end for a scheduler that has no workers, and for minutes for one that is not there."""
    from apache_beam.runners.dask.dask_runner import DaskOptions
    from distributed import Client

    address = options.view_as(DaskOptions).address
    try:
        with Client(address, timeout=_DASK_SECONDS) as client:
            workers = client.nthreads()
    except (OSError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers at {address}: {' '.join(str(error).split())[:200]}") from error
    if not workers:
        raise DataError(f"the Dask scheduler at {address} has no workers: start some with `dask worker {address}`.")


def _explain(text: str, shared: Path, choice: RunnerChoice) -> str:
    """One line of what a runner raised, and what can be done about it."""
    if f"No such file or directory: '{shared}" in text and shared.is_dir():
        return _not_shared(shared, choice)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    missing = next((line for line in reversed(lines) if "No module named" in line), "")
    if missing:
        return f"a worker of {choice.name} lacks a module ({missing}): install tfrec-zoo[beam] there too."
    if "MemoryError" in text or "malloc of size" in text or "Unable to allocate" in text:
        return "memory ran out: give --memory-limit less than a worker has, or a larger --partitions."
    return f"the Beam pipeline failed: {lines[-1][:500]} (--debug shows where)"


def _not_shared(folder: Path, choice: RunnerChoice) -> str:
    return (
        f"the workers of {choice.name} do not see the folder {folder.parent}: --output must be on a file system that "
        "this machine and all workers mount under the same path (NFS, for instance); see docs/beam-runners.md."
    )

"""How a pipeline of this package is run, and how its one outcome comes back.

Errors that a user can act on travel as elements (see shuffle.py); what a runner itself raises becomes one line here.
"""

from __future__ import annotations

import logging
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tfrec_zoo.errors import DataError


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


def run_pipeline(transform: beam.PTransform, outcome: Path) -> Any:
    """Runs in this process a transform from `PBegin` to a PCollection of one element, and returns that element.

    Args:
        transform: What to run.
        outcome: Name for the file that carries the element, in a folder that the workers share.

    Raises:
        DataError: The runner failed.
    """
    # Flags are given, even though there are none: Beam would otherwise read those of the command line.
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    _ = pipeline | transform | "Write the outcome" >> beam.ParDo(WriteOutcome(str(outcome)))
    logger = logging.getLogger("apache_beam")
    level = logger.level
    # Beam would log the traceback of an exception that is raised here anyway.
    logger.setLevel(logging.CRITICAL)
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise DataError(f"the Beam pipeline failed: {lines[-1]} (--debug shows where)") from error
    finally:
        logger.setLevel(level)
    return pickle.loads(outcome.read_bytes())

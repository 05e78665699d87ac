"""Apache Beam jobs that turn a log of who touched what and when into a dataset directory.

    from beam_jobs import PrepareOptions, prepare
    result = prepare(PrepareOptions(input=("log/*.csv",), output="data"))

apache_beam is imported when a job runs, not before: `tfrec prepare --help` stays fast. The module beam_jobs/prepare.py
is only the face of `python -m beam_jobs.prepare`; the name `beam_jobs.prepare` is the function.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from beam_jobs.meter import Meter
from beam_jobs.options import PrepareOptions, add_arguments

__all__ = ["PrepareOptions", "add_arguments", "prepare"]


def prepare(options: PrepareOptions) -> dict[str, Any]:
    """Reads a log and publishes it as a dataset directory (see tfrec_zoo/dataset_spec.py).

    Returns:
        `rows` (read), `rows_rejected`, `users`, `items` (distinct in the accepted log), `sequences` (records of all
        splits), `seconds`, `rows_per_s`, `cpu_s`, `peak_rss_mib`, `shards`, `split_hash`.

    Raises:
        DataError: The log cannot be read, has no usable row, or too many rows were rejected; nothing is published.
    """
    meter = Meter()
    with importing_beam():
        from beam_jobs.pipeline import run
    return run(options, meter)


@contextlib.contextmanager
def importing_beam() -> Iterator[None]:
    """For the first import of Beam, which warns of cloud libraries that these jobs do not use."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)

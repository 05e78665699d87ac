"""Progress on stderr: rows, rows a second, partitions done.

It is read off the names of the files in the scratch folder, by a thread beside the pipeline: so it works the same on
every runner and no counter travels through the pipeline.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

_PLAIN_SECONDS, _LIVE_SECONDS = 5.0, 0.25


class Counts:
    """What a scratch folder says about a running job: rows read, partitions sorted, partitions encoded."""

    def __init__(self, scratch: Path) -> None:
        self.rows = 0
        sorted_partitions, encoded = set(), set()
        with contextlib.suppress(OSError):
            for name in os.listdir(scratch):
                kind, *parts = name.split("-")
                if kind == "spill" and name.endswith(".arrow"):
                    self.rows += int(parts[2])
                elif kind == "partition":
                    sorted_partitions.add(parts[0])
                elif kind == "shard":
                    encoded.add((parts[0], parts[1]))
        self.sorted_partitions, self.encoded = len(sorted_partitions), len(encoded)

    def line(self, partitions: int, views: int, seconds: float) -> str:
        """For people; every view encodes every partition."""
        rate = self.rows / max(seconds, 1e-9)
        return (
            f"prepare: {self.rows:,} rows read ({rate:,.0f} rows/s), partitions of {partitions}: "
            f"{self.sorted_partitions} sorted, {self.encoded // views} encoded"
        )


@contextlib.contextmanager
def progress(scratch: Path, partitions: int, views: int, quiet: bool) -> Iterator[None]:
    """Reports on a job while the block runs: a live line on a terminal, else a line every five seconds."""
    if quiet:
        yield
        return
    console, stop, start = Console(stderr=True, highlight=False, soft_wrap=True), threading.Event(), time.monotonic()

    def watch() -> None:
        if not console.is_terminal:
            while not stop.wait(_PLAIN_SECONDS):
                console.print(Counts(scratch).line(partitions, views, time.monotonic() - start))
            return
        with console.status("prepare: starting") as status:
            while not stop.wait(_LIVE_SECONDS):
                status.update(Counts(scratch).line(partitions, views, time.monotonic() - start))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    console.print(Counts(scratch).line(partitions, views, time.monotonic() - start))

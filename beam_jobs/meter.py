"""What a job costs: wall clock, CPU and memory. Standard library only, so that it can start before Beam is imported."""

from __future__ import annotations

import resource
import sys
import time


class Meter:
    """Measures from its construction on."""

    def __init__(self) -> None:
        self._start, self._cpu_start = time.monotonic(), _cpu_seconds()

    def figures(self, rows: int) -> dict[str, float]:
        """The figures of a job that read `rows` rows: `seconds rows_per_s cpu_s peak_rss_mib`, children included."""
        seconds = time.monotonic() - self._start
        peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "seconds": round(seconds, 3),
            "rows_per_s": round(rows / seconds, 1),
            "cpu_s": round(_cpu_seconds() - self._cpu_start, 3),
            # Linux counts in KiB, macOS in bytes.
            "peak_rss_mib": round(max(peaks) / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1),
        }


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)

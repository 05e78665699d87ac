"""How much memory a worker may take, and what a partition needs: a job is refused before the kernel kills it.

A worker holds one chunk of the log or one partition of the users at a time; the numbers are peaks that were measured
with ids of 5 to 300 bytes (docs/beam-runners.md).
"""

from __future__ import annotations

import re
import resource
from pathlib import Path

from beam_jobs.runner_options import RunnerChoice, local_workers
from tfrec_zoo.errors import ConfigError, DataError

BASE_BYTES = 320 << 20
"""Python, Beam and Arrow, and a chunk of the log."""

TIMES_ITS_SIZE = 5
"""What sorting or encoding a partition takes, in multiples of its rows as they lie in the spill files."""

ROW_BYTES = 48
"""Of a row in the spill files, where ids are short."""

_USED_SHARE = 0.8
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_CGROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def parse_size(text: str) -> int:
    """Bytes of `512M` or `4G`.

    Raises:
        ConfigError: Not a size.
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise ConfigError(f"--memory-limit {text!r} is not a size: write 512M or 4G")
    return int(match[1]) << _UNITS[match[2].upper()]


def available() -> int | None:
    """Bytes that this process may still take: of the machine, its control group and its own limits; None: unknown."""
    limits = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file() and (match := re.search(r"MemAvailable:\s+(\d+)", meminfo.read_text())):
        limits.append(int(match[1]) << 10)
    for limit, used in _CGROUPS:
        try:
            most, now = (int(Path("/sys/fs/cgroup", name).read_text()) for name in (limit, used))
        except (OSError, ValueError):
            continue  # another kind of control group, or "max"
        limits.append(most - now)
    limits += [soft for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA) if (soft := _soft_limit(kind)) is not None]
    return max(0, min(limits)) if limits else None


def _soft_limit(kind: int) -> int | None:
    soft, _ = resource.getrlimit(kind)
    return None if soft == resource.RLIM_INFINITY else soft


def limit_of(choice: RunnerChoice, asked: str | None) -> int | None:
    """Bytes that one worker may take.

    Args:
        choice: Where the job runs.
        asked: Of --memory-limit; None: of a local runner an equal share of 80% of what there is.

    Returns:
        None where nobody knows: of workers elsewhere.
    """
    if asked:
        return parse_size(asked)
    workers, free = local_workers(choice), available()
    return None if workers is None or free is None else int(free * _USED_SHARE / workers)


def partitions_for(rows: int, limit: int | None) -> int:
    """The least number of partitions of a log of so many rows with which a worker keeps the limit.

    Raises:
        DataError: No number would do.
    """
    if limit is None:
        return 1
    room = limit - BASE_BYTES
    if room <= 0:
        raise DataError(
            f"a worker has {limit >> 20} MiB and needs at least {(BASE_BYTES >> 20) + 64} MiB: free some memory, or "
            "set --memory-limit."
        )
    return -(-rows * ROW_BYTES * TIMES_ITS_SIZE // room)


def too_large(size: int, limit: int | None, partitions: int) -> str:
    """Why a partition must not be loaded, or "".

    Args:
        size: Its bytes in the spill files.
        limit: Bytes of a worker.
        partitions: Number of all partitions.
    """
    need = BASE_BYTES + size * TIMES_ITS_SIZE
    if limit is None or need <= limit:
        return ""
    enough = -(-partitions * size * TIMES_ITS_SIZE // max(1, limit - BASE_BYTES)) * 5 // 4
    return (
        f"a partition of the users needs about {need >> 20} MiB and a worker has {limit >> 20} MiB: give --partitions "
        f"{enough} (it was {partitions}), or a larger --memory-limit; a single user's rows are never divided."
    )

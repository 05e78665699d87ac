"""Runs one command and reports what it cost: wall clock, CPU and peak memory, children that it waited for included.

A script of its own, of the standard library alone, because Linux lets the peak memory of a new process begin at that of
the process that started it: this one is small.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from tfrec_zoo.errors import TfrecError


def measured(command: Sequence[str], timeout: float = 3600) -> dict[str, Any]:
    """Runs a command to its end.

    Args:
        command: Program and arguments; its last line on stdout must be a JSON object.
        timeout: Seconds until the measurement is given up.

    Returns:
        `seconds`, `cpu_s`, `peak_rss_mib`, and `said`, the object that the command printed.

    Raises:
        TfrecError: It failed, or did not end in time.
    """
    launcher = subprocess.Popen(
        [sys.executable, __file__, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, errors = launcher.communicate(timeout=timeout)
    except BaseException as error:
        # The whole session: the launcher could not end its child any more.
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TfrecError(f"{' '.join(command)[:200]} did not end within {timeout:.0f} s") from error
        raise
    if launcher.returncode:
        raise TfrecError(f"{' '.join(command)[:200]} failed: {' '.join(errors.split())[-300:]}")
    *_, said, cost = out.splitlines()
    return {**json.loads(cost), "said": json.loads(said)}


def main(command: Sequence[str]) -> int:
    """Runs the command in the place of this process, and prints its cost as the last line."""
    start = time.monotonic()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    cost = {
        "seconds": round(time.monotonic() - start, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        # Linux counts in KiB, macOS in bytes.
        "peak_rss_mib": round(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)),
    }
    print(json.dumps(cost), flush=True)
    return os.waitstatus_to_exitcode(status) and 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

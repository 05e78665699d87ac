"""`tfrec launch`: a cluster of local processes, each with its TF_CONFIG; what one machine can show of several."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from tfrec_zoo.errors import ConfigError

_SECONDS_TO_END = 10.0
"""For the others, once one has failed: as a rule each ends by itself, with an error that says why."""


def launch(arguments: Sequence[str], workers: int) -> int:
    """Runs a tfrec command in several processes that form a cluster on 127.0.0.1.

    Their lines appear on this process's stdout and stderr with the worker in front. When one fails, the others are
    stopped.

    Args:
        arguments: Of `tfrec`, such as ["train", "bert4rec", ...].
        workers: Processes; the first is the chief.

    Returns:
        0, or the exit status of the first that failed: 128 + n where signal n ended it.

    Raises:
        ConfigError: No workers, or a command that does not train.
    """
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, not {workers}.")
    if not arguments or arguments[0] != "train":
        raise ConfigError("tfrec launch runs the train command: tfrec launch --workers 2 -- train MODEL ...")
    addresses = free_addresses(workers)
    processes: list[subprocess.Popen[str]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # through the `finally` below
    try:
        for index in range(workers):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tfrec_zoo.cli", *arguments],
                    env={**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONUNBUFFERED": "1"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                )
            )
        printers = [
            threading.Thread(target=_print_lines, args=(stream, output, f"[worker {index}] "), daemon=True)
            for index, process in enumerate(processes)
            for stream, output in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        ]
        for printer in printers:
            printer.start()
        status = _wait(processes)
    finally:
        _stop(processes)
    for printer in printers:
        printer.join(timeout=5.0)
    return status


def _wait(processes: Sequence[subprocess.Popen[str]]) -> int:
    """Waits until all have ended well, or one has failed and the others had time to say so too."""
    status, deadline = 0, float("inf")
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        status = status or _first_failure(processes)
        if status and deadline == float("inf"):
            deadline = time.monotonic() + _SECONDS_TO_END
        time.sleep(0.05)
    return status or _first_failure(processes)


def _first_failure(processes: Sequence[subprocess.Popen[str]]) -> int:
    """Says which process has failed; its exit status, or 0."""
    for index, process in enumerate(processes):
        if process.poll():
            status = 128 - process.returncode if process.returncode < 0 else process.returncode
            print(f"tfrec launch: worker {index} ended with status {status}; all are stopped", file=sys.stderr)
            return status
    return 0


def _stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    for how, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for process in processes:
            if process.poll() is None:
                process.send_signal(how)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)


def free_addresses(count: int) -> list[str]:
    """Different "127.0.0.1:port" whose ports are free now."""
    with contextlib.ExitStack() as stack:
        # All are held until all are found, so that no port is given twice.
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in found]


def _print_lines(stream: object, output: object, prefix: str) -> None:
    for line in stream:  # type: ignore[attr-defined]
        print(prefix + line.rstrip("\n"), file=output, flush=True)  # type: ignore[call-overload]

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
from collections.abc import Mapping, Sequence

from tfrec_zoo.errors import ConfigError

_SECONDS_TO_END = 10.0
"""For the others, once one has failed: as a rule each ends by itself, with an error that says why."""

_REVIVALS = 5
"""How often a worker is started again around parameter servers."""


def launch(arguments: Sequence[str], workers: int, servers: int = 0) -> int:
    """Runs a tfrec command in several processes that form a cluster on 127.0.0.1.

    Their lines appear on this process's stdout and stderr with the process's task in front. When one fails, the others
    are stopped; but around parameter servers a worker that dies is started again, as a cluster would do it.

    Args:
        arguments: Of `tfrec`, such as ["train", "bert4rec", ...].
        workers: Processes that train; the first is the chief where there are no servers.
        servers: Parameter servers, with a chief besides.

    Returns:
        0, or the exit status of the first that failed: 128 + n where signal n ended it.

    Raises:
        ConfigError: No workers, or a command that does not train.
    """
    if workers < 1 or servers < 0:
        raise ConfigError(f"--workers must be at least 1 and --servers at least 0, not {workers} and {servers}.")
    if not arguments or arguments[0] != "train":
        raise ConfigError("tfrec launch runs the train command: tfrec launch --workers 2 -- train MODEL ...")
    jobs = {"chief": 1, "worker": workers, "ps": servers} if servers else {"worker": workers}
    addresses = iter(free_addresses(sum(jobs.values())))
    cluster = {job: [next(addresses) for _ in range(count)] for job, count in jobs.items()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # through the `finally` below
    processes: list[Process] = []
    try:
        for job, count in jobs.items():
            for place in range(count):
                revivals = _REVIVALS if job == "worker" and servers else 0
                processes.append(Process(arguments, cluster, job, place, revivals))
        status = wait(processes)
    finally:
        stop(processes)
    for process in processes:
        process.finish_printing()
    return status


class Process:
    """One task of the cluster, and the threads that print what it says.

    Args:
        arguments: Of `tfrec`.
        cluster: Job -> addresses.
        job: Its job.
        place: Its place in the job.
        revivals: How often it is started again when it dies.
    """

    def __init__(
        self, arguments: Sequence[str], cluster: Mapping[str, list[str]], job: str, place: int, revivals: int = 0
    ) -> None:
        self.name, self._arguments, self._revivals = (
            "chief" if job == "chief" else f"{job} {place}",
            arguments,
            revivals,
        )
        self._config = json.dumps({"cluster": cluster, "task": {"type": job, "index": place}})
        self._printers: list[threading.Thread] = []
        self.start()

    def start(self) -> None:
        """Starts it, anew where it has ended."""
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tfrec_zoo.cli", *self._arguments],
            env={**os.environ, "TF_CONFIG": self._config, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for stream, output in ((self.popen.stdout, sys.stdout), (self.popen.stderr, sys.stderr)):
            self._printers.append(
                threading.Thread(target=_print_lines, args=(stream, output, f"[{self.name}] "), daemon=True)
            )
            self._printers[-1].start()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    @property
    def failure(self) -> int:
        """0, or the exit status that it failed with: 128 + n where signal n ended it."""
        status = self.popen.poll() or 0
        return 128 - status if status < 0 else status

    def revive(self) -> bool:
        """Starts a process that has failed again, if that may be; says so."""
        if not self._revivals:
            return False
        self._revivals -= 1
        print(f"tfrec launch: {self.name} ended with status {self.failure}; it is started again", file=sys.stderr)
        self.start()
        return True

    def finish_printing(self) -> None:
        """Waits until its last lines are out."""
        for printer in self._printers:
            printer.join(timeout=5.0)


def wait(processes: Sequence[Process]) -> int:
    """Waits until all have ended well, or one has failed and the others had time to say so too.

    Returns:
        0, or the status of the first that failed.
    """
    status, deadline = 0, float("inf")
    while time.monotonic() < deadline and any(process.runs for process in processes):
        for process in processes:
            if status or not process.failure or process.revive():
                continue
            status, deadline = process.failure, time.monotonic() + _SECONDS_TO_END
            _say_failed(process)
        time.sleep(0.05)
    failed = next((process for process in processes if process.failure), None)
    if failed and not status:
        status = failed.failure
        _say_failed(failed)
    return status


def _say_failed(process: Process) -> None:
    print(f"tfrec launch: {process.name} ended with status {process.failure}; all are stopped", file=sys.stderr)


def stop(processes: Sequence[Process]) -> None:
    """Ends those that still run, gently first."""
    for how, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for process in processes:
            if process.runs:
                process.popen.send_signal(how)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(timeout=seconds)


def free_addresses(count: int) -> list[str]:
    """Different "127.0.0.1:port" whose ports are free now."""
    with contextlib.ExitStack() as stack:
        # All are held until all are found, so that no port is given twice.
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in found]


def _print_lines(stream: object, output: object, prefix: str) -> None:
    for line in stream:  # type: ignore[attr-defined]
        print(prefix + line.rstrip("\n"), file=output, flush=True)  # type: ignore[call-overload]

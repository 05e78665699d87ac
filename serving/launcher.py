"""Starting the embedded server as a subprocess and knowing when it is ready; standard library only."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO

_READY = "READY grpc="


class LaunchError(Exception):
    """The server ended or stayed silent instead of getting ready; why stands on its stderr."""


class Server:
    """A server in a process of its own.

    Args:
        process: The process.
        address: `host:port` of its gRPC API.
        rest_address: `host:port` of its REST API; empty without one.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, rest_address: str = "") -> None:
        self.process = process
        self.address = address
        self.rest_address = rest_address

    def stop(self, timeout: float = 40.0) -> int:
        """Asks the server to drain and waits for it; kills it after `timeout` seconds.

        Returns:
            Its exit status: 0 after a drain.
        """
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _await_ready(process: subprocess.Popen[str], timeout: float) -> list[str]:
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        # Reads on to the end, so that the server never blocks on a full pipe.
        for line in process.stdout or ():
            if line.startswith(_READY):
                lines.append(line.removeprefix(_READY))
                ready.set()
        ready.set()

    threading.Thread(target=read, name="server-stdout", daemon=True).start()
    if not ready.wait(timeout):
        raise LaunchError(f"the server was not ready within {timeout:g} s")
    if not lines:
        raise LaunchError(f"the server ended with exit status {process.wait()} instead of getting ready")
    grpc_address, _, rest_address = lines[0].strip().partition(" rest=")
    return [grpc_address, rest_address]


@contextlib.contextmanager
def running(arguments: Sequence[str], timeout: float = 180.0, stderr: IO[str] | int | None = None) -> Iterator[Server]:
    """Runs a server for the length of a `with` block.

    Args:
        arguments: Flags of `python -m serving.server`; `--grpc-port 0` takes free ports.
        timeout: Seconds to get ready in.
        stderr: Where the server's log goes; to this process's stderr if None.

    Yields:
        The server, ready to answer; it is drained at the end of the block.

    Raises:
        LaunchError: It ended at once, such as for a broken configuration, or wasn't ready in time.

    Example:
        >>> flags = ["--model-base-path", "saved_models/bert4rec", "--grpc-port", "0"]
        >>> with running(flags) as server:  # doctest: +SKIP
        ...     Client(server.address).status("default")
        {1: 'AVAILABLE'}
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield Server(process, *_await_ready(process, timeout))
    finally:
        if process.poll() is None:
            Server(process, "").stop()

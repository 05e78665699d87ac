"""The front's end of the spawner: starts the processes of versions and hears of their ends."""

import asyncio
import collections
import json
import logging
import os
import socket
import subprocess
import sys

from serving.server.errors import StartupError
from serving.server.worker_link import WorkerLink

_MAX_MESSAGE = 1 << 16
_log = logging.getLogger(__name__)


class SpawnerLink:
    """Starts version processes, by way of a process that has TensorFlow imported already."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starting: collections.deque[WorkerLink] = collections.deque()
        self._running: dict[int, WorkerLink] = {}

    def start(self) -> None:
        """Starts the spawner; it imports TensorFlow while the caller goes on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.server.spawner", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # stdout is for the READY line
                env={**os.environ, "GRPC_VERBOSITY": "NONE"},
            )
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._on_message)

    def _on_message(self) -> None:
        assert self._control is not None
        try:
            data = self._control.recv(_MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        message = json.loads(data)
        if "started" in message:
            link = self._starting.popleft()
            link.pid = message["started"]
            self._running[link.pid] = link
        elif "ended" in message:
            ended = self._running.pop(message["ended"], None)
            if ended is not None and not ended.exit_code.done():
                ended.exit_code.set_result(message["code"])

    def _hang_up(self) -> None:
        if self._control is None:
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        for link in self._starting:
            link.close()
        self._starting.clear()

    async def spawn(self, settings: str) -> WorkerLink:
        """Starts a process.

        Args:
            settings: The JSON of its WorkerSettings.

        Returns:
            The connection to it; `loaded` tells when it is ready.

        Raises:
            StartupError: No process can be started.
        """
        if self._control is None:
            if self._process is not None:
                self._process.wait()
                _log.error(
                    "the process that starts models ended with status %s; it is started again", self._process.returncode
                )
            self.start()
        assert self._control is not None
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        _, link = await asyncio.get_running_loop().create_connection(WorkerLink, sock=ours)
        with theirs:
            try:
                socket.send_fds(self._control, [settings.encode()], [theirs.fileno()])
            except OSError as error:
                link.close()
                raise StartupError(f"no process can be started: {error}") from error
        self._starting.append(link)
        return link

    async def stop(self) -> None:
        """Ends the spawner; the processes that it started end with their own connections."""
        self._hang_up()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

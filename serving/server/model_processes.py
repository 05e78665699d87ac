"""Starting the process of a version with this server's settings."""

import dataclasses
import json
from pathlib import Path

from serving.server.config_files import Batching
from serving.server.spawner_link import SpawnerLink
from serving.server.worker_link import WorkerLink


class ModelProcesses:
    """Makes processes of versions.

    Args:
        threads: Requests that one works on at the same time.
        intra_op_threads: Threads that one op may use; 0 for all processors.
        max_rows: Largest batch of one request.
        max_columns: Largest second axis of an input.
        batching: Batching parameters; None for none.
    """

    def __init__(
        self, threads: int, intra_op_threads: int, max_rows: int, max_columns: int, batching: Batching | None
    ) -> None:
        self._spawner = SpawnerLink()
        self._common = {
            "threads": threads,
            "intra_op_threads": intra_op_threads,
            "limits": {"rows": max_rows, "columns": max_columns},
            "batching": dataclasses.asdict(batching) if batching else None,
        }

    def start(self) -> None:
        """Begins to import TensorFlow, in another process."""
        self._spawner.start()

    async def spawn(self, name: str, version: int, path: Path, background: bool) -> WorkerLink:
        """Starts the process of a version; see `manager.Spawn`.

        Raises:
            StartupError: No process can be started.
        """
        settings = {"name": name, "version": version, "path": str(path), "background": background, **self._common}
        return await self._spawner.spawn(json.dumps(settings))

    async def stop(self) -> None:
        """Ends what `start` started."""
        await self._spawner.stop()

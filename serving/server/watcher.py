"""Keeping up with the disk: versions that appear or vanish, and a models.config that changes."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from serving.server import model_config, versions
from serving.server.errors import Code, StartupError, StatusError
from serving.server.manager import Manager
from serving.server.model_config import ModelSettings

_log = logging.getLogger(__name__)


class Watcher:
    """Tells the manager what is on disk.

    A mistake that appears while the server runs (an unreadable directory, a broken models.config) is logged once, and
    everything goes on as before.

    Args:
        manager: Brings versions in and out of service.
        config: The models.config to watch, or None.
    """

    def __init__(self, manager: Manager, config: Path | None) -> None:
        self._manager = manager
        self._config = config
        self._config_text = ""
        self._complaints: dict[str, str] = {}
        self._reloading = asyncio.Lock()

    async def start(self, settings: Sequence[ModelSettings]) -> None:
        """Loads the first configuration and waits until all its versions serve.

        Raises:
            StartupError: A version can't be loaded, or a label names one that isn't there.
        """
        self._config_text = self._read() if self._config else ""
        await self._apply(settings)
        for model in self._manager.models.values():
            missing = sorted(set(model.aspired) - set(model.available()))
            if missing:
                error = model.versions[missing[0]].error
                raise StartupError(error.message if error else f"version {missing[0]} did not become available")
        try:
            self._manager.set_labels()
        except StatusError as error:
            raise StartupError(error.message) from error
        self._manager.started = True

    async def reload(self, settings: Sequence[ModelSettings]) -> None:
        """Takes over another configuration; returns when its versions serve. One at a time, in the order of calls.

        Raises:
            StatusError: A model has no version that can be served (UNKNOWN), or a label names one that is not
                available (FAILED_PRECONDITION).
        """
        async with self._reloading:
            await self._apply(settings)
            for name, model in self._manager.models.items():
                if not model.available():
                    failed = [each.error for each in model.versions.values() if each.error]
                    reason = failed[-1].message if failed else f"no version under {model.settings.base_path}"
                    raise StatusError(
                        Code.UNKNOWN,
                        f"Some models did not become available: {{{name}}}: {reason}",
                    )
            self._manager.set_labels()

    async def _apply(self, settings: Sequence[ModelSettings]) -> None:
        self._manager.set_models(settings)
        await self._look()
        await self._manager.loaded()

    async def _look(self) -> None:
        for name, model in list(self._manager.models.items()):
            base_path = model.settings.base_path
            try:
                found = await asyncio.to_thread(versions.on_disk, base_path)
            except OSError as error:
                self._complain(
                    name, f"Could not find base path {base_path} for servable {name}: {error.strerror or error}"
                )
                continue
            if self._manager.models.get(name) is not model:
                continue  # the configuration changed in the meantime
            if not found:
                # The last version stays: an emptied directory is more likely a mistake than a wish to serve nothing.
                self._complain(name, f"No versions of servable {name} found under base path {base_path}")
                continue
            self._complaints.pop(name, None)
            self._manager.aspire(name, found)

    def _complain(self, about: str, message: str) -> None:
        if self._complaints.get(about) != message:
            self._complaints[about] = message
            _log.error("%s", message)

    def _read(self) -> str:
        assert self._config is not None
        try:
            return self._config.read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            return ""  # reading it again below says what is wrong

    async def _look_at_config(self) -> None:
        if self._config is None:
            return
        text = await asyncio.to_thread(self._read)
        if text == self._config_text:
            return
        self._config_text = text
        try:
            settings = model_config.read(self._config)
            await self.reload(settings)
        except (StartupError, StatusError) as error:
            _log.error("the configuration that is served stays as it was: %s", error)
            return
        _log.warning("%s was read again: serving %s", self._config, ", ".join(sorted(self._manager.models)))

    async def watch(self, seconds: float) -> None:
        """Looks at the disk every few seconds, for ever.

        Args:
            seconds: Pause between two looks.
        """
        config: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(seconds)
            try:
                # In a task of its own: a slow load of one model must not keep the others from being looked at.
                if config is None or config.done():
                    config = asyncio.create_task(self._look_at_config())
                    await asyncio.wait([config], timeout=seconds)
                await self._look()
            except Exception:
                _log.exception("looking at the disk failed; the next look may succeed")

"""Which versions of which models are served: resolving requests, and taking versions in and out of service.

A new version is loaded beside the old one and takes over when it is ready; the old one then answers what it has begun
and ends. A version that can't be loaded never displaces one that is serving.
"""

import asyncio
import dataclasses
import enum
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from serving.server.errors import Code, StartupError, StatusError, invalid_argument, not_found
from serving.server.model_config import ModelSettings
from serving.server.worker_link import WorkerLink

_log = logging.getLogger(__name__)
_MAX_ENDED = 20
"""Versions out of service whose end GetModelStatus still tells."""


class State(enum.IntEnum):
    """State of a version, as ModelVersionStatus numbers it."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass
class Version:
    """One version on its way into service, in it, or out of it.

    Args:
        number: The version.
        path: Its directory.
        state: Where it is.
        error: Why it ended; None if nothing went wrong.
        link: Its process.
        fingerprint: Of the directory when loading it failed: it is tried again when that changes.
    """

    number: int
    path: Path
    state: State = State.START
    error: StatusError | None = None
    link: WorkerLink | None = None
    fingerprint: object = None


@dataclasses.dataclass
class Model:
    """A model with its versions.

    Args:
        settings: Its part of models.config.
        versions: Number -> version.
        labels: Label -> number.
        aspired: Numbers that are to be served.
    """

    settings: ModelSettings
    versions: dict[int, Version] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    aspired: frozenset[int] = frozenset()

    def available(self) -> list[int]:
        """Numbers of the versions that answer, lowest first."""
        return sorted(number for number, each in self.versions.items() if each.state == State.AVAILABLE)


Spawn = Callable[[str, int, Path, bool], Awaitable[WorkerLink]]
"""Starts the process of a version: model, version, directory, whether others are serving already."""


def fingerprint(path: Path) -> object:
    """Returns something that changes when a version's directory is completed or replaced."""
    try:
        stats = [each.stat() for each in (path, path / "saved_model.pb", path / "variables") if each.exists()]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


class Manager:
    """Finds the process that a request is for, and keeps the wanted versions in service.

    Args:
        spawn: Starts the process of a version.
        retries: How often loading a version is tried again.
        retry_seconds: Pause before each.

    Attributes:
        models: Name -> model.
        started: Whether the first versions serve. Until then a failure is final, and told by whoever starts the server.
    """

    def __init__(self, spawn: Spawn, retries: int = 5, retry_seconds: float = 1.0) -> None:
        self.models: dict[str, Model] = {}
        self.started = False
        self._spawn = spawn
        self._retries, self._retry_seconds = retries, retry_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: dict[tuple[str, int], asyncio.Task[None]] = {}

    # Requests.

    def resolve(self, spec: Any) -> tuple[int, WorkerLink]:
        """Finds the version of a ModelSpec.

        Args:
            spec: A ModelSpec: a name and perhaps a version or a label; without, the latest version is meant.

        Returns:
            The version's number and its process.

        Raises:
            StatusError: INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND for an unknown model or
                version, UNAVAILABLE for one whose process ended and is started again.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self.models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            asked = f"Latest({spec.name})"
            available = model.available() if model else []
            wanted = available[-1] if available else None
        else:
            wanted = self._labelled(model, spec.version_label) if choice == "version_label" else spec.version.value
            asked = f"Specific({spec.name}, {wanted})"
        version = model.versions.get(wanted) if model and wanted is not None else None
        if version is not None and version.state == State.AVAILABLE and version.link is not None:
            return version.number, version.link
        candidates = [version] if wanted is not None else list(model.versions.values()) if model else []
        if any(each is not None and each.state == State.LOADING and each.error for each in candidates):
            raise StatusError(Code.UNAVAILABLE, f"{asked} ended unexpectedly and is being loaded again")
        raise not_found(f"Servable not found for request: {asked}")

    @staticmethod
    def _labelled(model: Model | None, label: str) -> int:
        if model is None or label not in model.labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return model.labels[label]

    def status(self, spec: Any) -> list[Version]:
        """Returns the versions that a ModelSpec asks about, newest first.

        Args:
            spec: A ModelSpec; without version and label, all versions are meant.

        Raises:
            StatusError: INVALID_ARGUMENT for an unknown label, NOT_FOUND for an unknown model or version.
        """
        model = self.models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            if model is None or not model.versions:
                raise not_found(f"Could not find any versions of model {spec.name}")
            return [model.versions[number] for number in sorted(model.versions, reverse=True)]
        number = self._labelled(model, spec.version_label) if choice == "version_label" else spec.version.value
        if model is None or number not in model.versions:
            raise not_found(f"Could not find version {number} of model {spec.name}")
        return [model.versions[number]]

    # Versions.

    def set_models(self, settings: Iterable[ModelSettings]) -> None:
        """Takes over a configuration: new models appear, others change, missing ones are unloaded."""
        wanted = {each.name: each for each in settings}
        for name in set(self.models) - set(wanted):
            model = self.models[name]
            model.aspired = frozenset()
            self._settle(model)
            del self.models[name]
        for name, each in wanted.items():
            if name in self.models:
                self.models[name].settings = each
            else:
                self.models[name] = Model(each)

    def set_labels(self) -> None:
        """Assigns the labels of the configuration, of all models or of none.

        Raises:
            StatusError: FAILED_PRECONDITION, when a label names a version that is not available.
        """
        for name, model in self.models.items():
            for version in model.settings.labels.values():
                if version not in model.available():
                    raise StatusError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {name}, which is not currently "
                        "available for inference",
                    )
        for model in self.models.values():
            model.labels = dict(model.settings.labels)

    def aspire(self, name: str, on_disk: Mapping[int, Path]) -> None:
        """Brings the versions that a model's policy chooses into service, and then the others out of it.

        Args:
            name: The model.
            on_disk: The versions that are there, with their directories.
        """
        model = self.models[name]
        model.aspired = frozenset(model.settings.policy.choose(on_disk))
        for number in sorted(model.aspired):
            version = model.versions.get(number)
            if version is not None and version.state != State.END:
                continue
            if version is not None and version.error and version.fingerprint == fingerprint(on_disk[number]):
                continue  # it failed, and nothing has changed
            model.versions[number] = Version(number, on_disk[number])
            self._begin(model, model.versions[number])
        self._settle(model)

    def _begin(self, model: Model, version: Version) -> None:
        key = (model.settings.name, version.number)
        task = asyncio.get_running_loop().create_task(self._bring_in(model, version))
        self._loading[key] = task
        self._keep(task)
        task.add_done_callback(lambda done: self._loading.pop(key) if self._loading.get(key) is done else None)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def loaded(self) -> None:
        """Waits until no version is being loaded any more."""
        while self._loading:
            await asyncio.wait(list(self._loading.values()))

    async def _bring_in(self, model: Model, version: Version) -> None:
        version.state = State.LOADING
        reason = ""
        attempts = self._retries + 1 if self.started else 1
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(self._retry_seconds)
            if version.number not in model.aspired:
                reason = reason or "it is no longer wanted"
                break
            version.fingerprint = fingerprint(version.path)
            try:
                version.link = await self._load(model, version)
            except (StatusError, StartupError) as error:
                reason = str(error)
                if self.started:
                    _log.error("%s (attempt %d of %d)", reason, attempt + 1, attempts)
                continue
            version.state, version.error = State.AVAILABLE, None
            self._keep(asyncio.get_running_loop().create_task(self._watch(model, version, version.link)))
            self._settle(model)
            return
        version.state, version.error = State.END, StatusError(Code.UNKNOWN, reason)
        self._settle(model)

    async def _load(self, model: Model, version: Version) -> WorkerLink:
        background = any(each.available() for each in self.models.values())
        link = await self._spawn(model.settings.name, version.number, version.path, background)
        try:
            await link.loaded
        except BaseException as error:
            link.close()
            if isinstance(error, StatusError) and error.code == Code.UNAVAILABLE:
                raise StartupError(
                    f"model {model.settings.name} version {version.number} at {version.path} can't be loaded: "
                    f"its process {await _exit_reason(link)}"
                ) from error
            raise
        return link

    async def _watch(self, model: Model, version: Version, link: WorkerLink) -> None:
        """Loads a version again whose process ends although it serves."""
        await asyncio.shield(link.ended)  # cancelling this task must not cancel what others wait for
        if version.state != State.AVAILABLE or version.link is not link:
            return
        reason = f"the process of model {model.settings.name} version {version.number} {await _exit_reason(link)}"
        _log.error("%s; it is started again", reason)
        version.state, version.link = State.LOADING, None
        version.error = StatusError(Code.UNAVAILABLE, reason)
        self._begin(model, version)

    def _settle(self, model: Model) -> None:
        """Takes versions out of service that are no longer wanted, unless nothing wanted serves yet."""
        available = model.available()
        if model.aspired and not model.aspired.intersection(available):
            return
        for number in available:
            if number not in model.aspired:
                self._keep(asyncio.get_running_loop().create_task(self._take_out(model, model.versions[number])))
        ended = sorted(number for number, each in model.versions.items() if each.state == State.END)
        for number in ended[:-_MAX_ENDED]:
            del model.versions[number]

    async def _take_out(self, model: Model, version: Version) -> None:
        if version.state != State.AVAILABLE or version.link is None:
            return
        version.state = State.UNLOADING  # from here on it gets no new request
        await version.link.drain()
        version.link.close()
        await asyncio.shield(version.link.ended)
        version.link, version.state = None, State.END
        self._settle(model)

    async def stop(self) -> None:
        """Ends all processes; requests that are under way fail."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        links = [each.link for model in self.models.values() for each in model.versions.values() if each.link]
        for link in links:
            link.close()
        for link in links:
            await asyncio.shield(link.ended)


async def _exit_reason(link: WorkerLink) -> str:
    try:
        code = await asyncio.wait_for(asyncio.shield(link.exit_code), 2)
    except asyncio.TimeoutError:
        return "ended"
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"

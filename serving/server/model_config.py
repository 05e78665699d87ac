"""Reading models.config: the text ModelServerConfig that TensorFlow Serving's own binary reads.

A file that the official server refuses is refused here too, so that what runs on a laptop starts in production.
"""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from serving.server.config_files import parse_text, read_text
from serving.server.errors import StartupError
from serving.server.messages import ModelServerConfig

_PLATFORM = "tensorflow"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are served.

    Args:
        kind: `latest` serves the highest numbers, `all` every one, `specific` those that are named.
        count: How many `latest` serves; at least 1.
        versions: The versions that `specific` names.
    """

    kind: Literal["latest", "all", "specific"] = "latest"
    count: int = 1
    versions: frozenset[int] = frozenset()

    def choose(self, available: Iterable[int]) -> list[int]:
        """Returns the versions to serve out of those on disk, lowest first."""
        versions = sorted(available)
        if self.kind == "all":
            return versions
        if self.kind == "specific":
            return [version for version in versions if version in self.versions]
        return versions[-self.count :]


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """One model of models.config.

    Args:
        name: The name that requests use.
        base_path: Absolute directory whose sub-directories are the versions.
        policy: The versions to serve.
        labels: Label -> version.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def _check_name(name: str, where: str) -> None:
    if not name:
        raise StartupError(f"{where}: a model has no name")
    # Names stand in REST paths and in metrics; they never become part of a file's path.
    if "/" in name or name in (".", "..") or not name.isprintable():
        raise StartupError(f"{where}: model name {name!r} may not hold a slash or unprintable characters")


def _policy(config: Any, where: str) -> VersionPolicy:
    policy = config.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy("all")
    if choice == "specific":
        if not policy.specific.versions:
            raise StartupError(f"{where}: model {config.name}: a specific version policy names no versions")
        return VersionPolicy("specific", versions=frozenset(policy.specific.versions))
    return VersionPolicy("latest", count=max(1, policy.latest.num_versions))


def _settings(config: Any, where: str) -> ModelSettings:
    _check_name(config.name, where)
    platform = config.model_platform or (_PLATFORM if config.model_type == 1 else "")
    if platform != _PLATFORM:
        said = f"has model_platform {platform!r}" if platform else "has no model_platform"
        raise StartupError(f'{where}: model {config.name} {said}; write model_platform: "{_PLATFORM}"')
    if not config.base_path.startswith("/"):
        raise StartupError(
            f"{where}: Expected model {config.name} to have an absolute path or URI; got base_path()={config.base_path}"
        )
    if config.HasField("logging_config"):
        _log.warning("%s: model %s: logging_config is not supported here and has no effect", where, config.name)
    return ModelSettings(
        name=config.name,
        base_path=Path(config.base_path),
        policy=_policy(config, where),
        labels=dict(config.version_labels),
    )


def parse(text: str, where: str = "models.config") -> list[ModelSettings]:
    """Parses a text ModelServerConfig.

    Args:
        text: What the file holds.
        where: The file's name, for messages.

    Returns:
        The models in the order of the file; at least one.

    Raises:
        StartupError: The text is no ModelServerConfig, lists no model, or TensorFlow Serving would refuse a model.
    """
    return from_message(parse_text(text, ModelServerConfig, where), where)


def from_message(config: Any, where: str) -> list[ModelSettings]:
    """Reads a ModelServerConfig.

    Args:
        config: The message.
        where: What to call it in messages.

    Returns:
        The models in its order; at least one.

    Raises:
        StartupError: It lists no model, or TensorFlow Serving would refuse a model.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise StartupError(f"{where}: custom_model_config is not supported; list the models in model_config_list")
    models = [_settings(model, where) for model in config.model_config_list.config]
    if not models:
        raise StartupError(f"{where}: no model is listed; add model_config_list {{ config {{ ... }} }}")
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise StartupError(f"{where}: Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
    return models


def read(path: Path) -> list[ModelSettings]:
    """Reads models.config.

    Args:
        path: The file.

    Returns:
        The models in the order of the file; at least one.

    Raises:
        StartupError: The file can't be read, or `parse` refuses what it holds.
    """
    return parse(read_text(path), str(path))


def single(name: str, base_path: Path) -> list[ModelSettings]:
    """Returns the configuration of one model without a file.

    Args:
        name: The name that requests use.
        base_path: The directory of the versions; a relative one is taken from the working directory.

    Raises:
        StartupError: The name is unusable.
    """
    _check_name(name, "--model-name")
    return [ModelSettings(name, base_path.absolute())]

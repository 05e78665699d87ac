"""Version directories: what of a base path is a version, and which are to be served."""

import logging
import re
from pathlib import Path

from serving.server.errors import StartupError
from serving.server.model_config import ModelSettings

_VERSION = re.compile(r"0*[1-9][0-9]*", re.ASCII)
_MAX_VERSION = 2**63 - 1
_log = logging.getLogger(__name__)


def on_disk(base_path: Path) -> dict[int, Path]:
    """Finds the versions under a base path.

    Args:
        base_path: The directory of a model.

    Returns:
        Version -> directory. A version is a directory with a positive integer for a name; everything else is ignored,
        such as the hidden directory in which a version is being written.

    Raises:
        OSError: The base path isn't a directory that can be read.
    """
    found: dict[int, Path] = {}
    for child in sorted(base_path.iterdir()):
        if not _VERSION.fullmatch(child.name) or not child.is_dir():
            continue
        version = int(child.name)
        if version > _MAX_VERSION:
            continue
        if version in found:
            _log.warning("version %d is there twice: %s is ignored, %s is taken", version, found[version], child)
        found[version] = child
    return found


def to_serve(model: ModelSettings) -> dict[int, Path]:
    """Chooses the versions of a model that are served at start-up.

    Args:
        model: The model's settings.

    Returns:
        Version -> directory, lowest version first; at least one.

    Raises:
        StartupError: The base path is missing or holds no version that the policy serves, or a label names another
            version.
    """
    try:
        found = on_disk(model.base_path)
    except OSError as error:
        raise StartupError(
            f"Could not find base path {model.base_path} for servable {model.name}: {error.strerror}"
        ) from error
    chosen = model.policy.choose(found)
    if not chosen:
        wanted = f" {sorted(model.policy.versions)}" if model.policy.kind == "specific" and found else ""
        raise StartupError(
            f"No versions{wanted} of servable {model.name} found under base path {model.base_path}."
            " Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    for version in sorted(model.policy.versions.difference(chosen)):
        _log.warning("version %d of model %s is not under %s", version, model.name, model.base_path)
    for label, version in sorted(model.labels.items()):
        if version not in chosen:
            raise StartupError(
                f"label {label!r} of model {model.name} names version {version}, which is not available for serving"
                f" (available: {', '.join(map(str, chosen))})"
            )
    return {version: found[version] for version in chosen}

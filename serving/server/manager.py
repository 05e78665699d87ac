"""Which models are served: names, versions and labels to loaded servables."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from serving.server.errors import invalid_argument, not_found
from serving.server.servable import Servable


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """One model with the versions of it that are loaded.

    Args:
        versions: Version -> servable; at least one.
        labels: Label -> version, each of them loaded.
    """

    versions: Mapping[int, Servable]
    labels: Mapping[str, int]


class Manager:
    """Finds the servable that a request asks for.

    Args:
        models: Name -> model. A lookup reads it once, so that it can be replaced as a whole while requests run.
    """

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self.models = models

    def resolve(self, spec: Any) -> Servable:
        """Finds the servable of a ModelSpec.

        Args:
            spec: A `tensorflow.serving.ModelSpec`: a name and perhaps a version or a label; without, the latest
                version.

        Raises:
            StatusError: INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND for an unknown model or
                version.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self.models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            if model is None:
                raise not_found(f"Servable not found for request: Latest({spec.name})")
            return model.versions[max(model.versions)]
        version = self._labelled(model, spec.version_label) if choice == "version_label" else spec.version.value
        if model is None or version not in model.versions:
            raise not_found(f"Servable not found for request: Specific({spec.name}, {version})")
        return model.versions[version]

    @staticmethod
    def _labelled(model: ServedModel | None, label: str) -> int:
        if model is None or label not in model.labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return model.labels[label]

    def status(self, spec: Any) -> list[int]:
        """Returns the loaded versions that a ModelSpec asks about, newest first.

        Args:
            spec: A `tensorflow.serving.ModelSpec`; without version and label, all versions are meant.

        Raises:
            StatusError: INVALID_ARGUMENT for an unknown label, NOT_FOUND for an unknown model or version.
        """
        model = self.models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            if model is None:
                raise not_found(f"Could not find any versions of model {spec.name}")
            return sorted(model.versions, reverse=True)
        version = self._labelled(model, spec.version_label) if choice == "version_label" else spec.version.value
        if model is None or version not in model.versions:
            raise not_found(f"Could not find version {version} of model {spec.name}")
        return [version]

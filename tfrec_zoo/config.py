"""Strict configuration: YAML presets, overrides by key, values checked by type and range.

A configuration class declares every key with its range once (pydantic); an unknown key or a value out of its range is
a `ConfigError` that names the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from tfrec_zoo.errors import ConfigError

Self = TypeVar("Self", bound="Config")


class Config(pydantic.BaseModel):
    """Base of every configuration class: immutable, unknown keys refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def parse(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """Checks plain values and makes the configuration.

        Raises:
            ConfigError: Names every unknown key and every value that does not fit.
        """
        try:
            return cls.model_validate(dict(values))
        except pydantic.ValidationError as error:
            raise ConfigError("; ".join(cls._explain(problem) for problem in error.errors())) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain values (JSON and YAML can hold them) that `parse` turns into an equal configuration."""
        return self.model_dump(mode="json")

    @classmethod
    def _explain(cls, problem: Mapping[str, Any]) -> str:
        key = ".".join(str(part) for part in problem["loc"]) or cls.__name__
        if problem["type"] == "extra_forbidden":
            return f"unknown configuration key `{key}` (known here: {', '.join(cls._known_keys(problem['loc']))})"
        if problem["type"] == "missing":
            return f"configuration key `{key}` is missing"
        return f"configuration value `{key}`: {problem['msg']}, got {problem['input']!r}"

    @classmethod
    def _known_keys(cls, location: tuple[int | str, ...]) -> list[str]:
        level: Any = cls
        for part in location[:-1]:
            level = level.model_fields[part].annotation if hasattr(level, "model_fields") else None
        return sorted(getattr(level, "model_fields", {}))


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        ConfigError: No such file, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration {path} cannot be read: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {path} must be a mapping of keys to values, not {type(content).__name__}.")
    return content


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `base` with the values of `override`, mappings merged key by key."""
    merged = dict(base)
    for key, value in override.items():
        mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if mappings else value
    return merged


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turns `--set` arguments such as "training.batch_size=64" into nested values, each read as YAML.

    Raises:
        ConfigError: An argument is not of the form KEY=VALUE, or its value is not YAML.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set takes KEY=VALUE, as in training.batch_size=64, not {assignment!r}.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key}: the value is not YAML: {' '.join(str(error).split())}") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        values = merge(values, value)
    return values

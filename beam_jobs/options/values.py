"""Parsers and checks of single flag values that several topics share."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from typing import Any

from tfrec_zoo.errors import ConfigError


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, not {text}")
    return value


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for name in text.split(",") if name)


def check_counts(options: Any, *fields: str) -> None:
    """Raises ConfigError for a number below 1; None is let through."""
    for field in fields:
        value = getattr(options, field)
        if value is not None and value < 1:
            raise ConfigError(f"{field} must be at least 1, not {value}")


def check_shares(options: Any, *fields: str) -> None:
    """Raises ConfigError for a number outside of 0 to 1; None is let through."""
    for field in fields:
        value = getattr(options, field)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{field} must lie between 0 and 1, not {value}")


def check_moment(options: Any, field: str) -> None:
    """Turns a moment into text, and raises ConfigError if it is none; None is let through."""
    value = getattr(options, field)
    if value is None:
        return
    object.__setattr__(options, field, str(value))
    if str(value) in ("none", "now"):
        return
    try:
        int(str(value))
    except ValueError:
        try:
            datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            raise ConfigError(
                f"{field} must be a number in the log's unit or an ISO 8601 date, not {value!r}"
            ) from None


def check_choice(options: Any, field: str, choices: Sequence[str]) -> None:
    """Raises ConfigError for a value that is not among the choices."""
    value = getattr(options, field)
    if value not in choices:
        raise ConfigError(f"{field} {value!r} is not supported: choose one of {', '.join(choices)}")

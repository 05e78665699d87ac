"""Options of the split into train, valid and test."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_choice

SPLITS = ("leave-one-out",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How train, valid and test are cut.

    Attributes:
        split: The split protocol.
    """

    split: str = "leave-one-out"


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    check_choice(options, "split", SPLITS)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("split").add_argument
    add("--split", choices=SPLITS, default=SPLITS[0], help="split protocol (default: %(default)s)")

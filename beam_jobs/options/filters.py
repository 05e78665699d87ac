"""Options of which rows and items count."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_counts, count


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """Which rows and items count.

    Attributes:
        min_item_count: Train rows that an item needs for an id of its own; others are out of vocabulary.
    """

    min_item_count: int = 1


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    check_counts(options, "min_item_count")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("which rows and items count").add_argument
    add(
        "--min-item-count",
        type=count,
        default=1,
        metavar="N",
        help="train rows an item needs for an id of its own, others are out of vocabulary (default: %(default)s)",
    )

"""Options of which rows and items count."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_counts, check_shares, count, names, share
from tfrec_zoo.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """Which rows and items count. Filters drop rows of the whole log, before it is split, in the order of this list.

    Attributes:
        actions: Only rows with one of these actions; None: all.
        min_dwell: Only rows with at least this dwell time (or share of completion); None: all.
        drop_duplicates: Of rows that are equal in every column of the log that has a role, only the first.
        max_item_count: No item with more rows than this.
        max_item_share: No item with more than this share of the rows.
        drop_repeats: Of a user's adjacent rows of the same item, only the first.
        min_user_items: Only users with at least this many rows.
        k_core: Only items and users with at least this many rows each, again and again until all have.
        min_item_count: Train rows that an item needs for an id of its own; rows of others stay, as out of vocabulary.
    """

    actions: tuple[str, ...] | None = None
    min_dwell: float | None = None
    drop_duplicates: bool = False
    max_item_count: int | None = None
    max_item_share: float | None = None
    drop_repeats: bool = False
    min_user_items: int = 1
    k_core: int = 1
    min_item_count: int = 1


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    check_counts(options, "min_item_count", "max_item_count", "min_user_items", "k_core")
    check_shares(options, "max_item_share")
    if isinstance(options.actions, str):
        raise ConfigError(f"actions must be a sequence of names, not the string {options.actions!r}")
    if options.actions is not None:
        object.__setattr__(options, "actions", tuple(options.actions))
        if not options.action_col:
            raise ConfigError("actions to keep need the column of the action: name it with --action-col")
    if options.min_dwell is not None and not options.dwell_col:
        raise ConfigError("min_dwell needs the column of the dwell time: name it with --dwell-col")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("which rows and items count (dropped before the split, in this order)").add_argument
    add("--actions", type=names, metavar="ACTION,...", help="keep only rows with one of these actions")
    add("--min-dwell", type=float, metavar="X", help="keep only rows with at least this dwell time or completion")
    add("--drop-duplicates", action="store_true", help="of rows that are equal in every column used, keep the first")
    add("--max-item-count", type=count, metavar="N", help="drop items with more rows: too hot to tell users apart")
    add("--max-item-share", type=share, metavar="SHARE", help="drop items with a larger share of the rows")
    add("--drop-repeats", action="store_true", help="of a user's adjacent rows of the same item, keep the first")
    add("--min-user-items", type=count, default=1, metavar="N", help="drop users with fewer rows")
    add("--k-core", type=count, default=1, metavar="K", help="drop items and users with fewer rows until none is left")
    add(
        "--min-item-count",
        type=count,
        default=1,
        metavar="N",
        help="train rows an item needs for an id of its own, others are out of vocabulary (default: %(default)s)",
    )

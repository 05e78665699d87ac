"""Options of the view `transfer`: the log of the target domain, and how records are made of both logs."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.splitting import SPLITS
from beam_jobs.options.values import check_choice
from tfrec_zoo.errors import ConfigError

PROTOCOLS = tuple(split for split in SPLITS if split != "files")
HISTORIES = ("earlier", "all")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """The target domain; see docs/views.md.

    Attributes:
        target_input: Globs or paths of the log of the target domain; filters and the like apply to both logs.
        target_user_col, target_item_col, target_time_col: Its columns; None: as in the source log.
        transfer_split: Split protocol of the target log; "user" holds whole users out, who are cold to the target.
        transfer_history: "earlier" gives a record the user's source events before its target event, "all" gives all.
        target_sample: Share of the train targets above which an item is thinned out as in word2vec; None for never.
    """

    target_input: tuple[str, ...] = ()
    target_user_col: str | None = None
    target_item_col: str | None = None
    target_time_col: str | None = None
    transfer_split: str = "user"
    transfer_history: str = "earlier"
    target_sample: float | None = None


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    if isinstance(options.target_input, str):
        raise ConfigError(f"target_input must be a sequence of globs, not the string {options.target_input!r}")
    object.__setattr__(options, "target_input", tuple(str(pattern) for pattern in options.target_input))
    check_choice(options, "transfer_split", PROTOCOLS)
    check_choice(options, "transfer_history", HISTORIES)
    if options.target_sample is not None and not 0 < options.target_sample <= 1:
        raise ConfigError(f"target_sample must lie above 0 and be at most 1, not {options.target_sample}")
    if "transfer" in options.views and not options.target_input:
        raise ConfigError("the view transfer needs the log of the target domain: give --target-input")
    if options.target_input and "transfer" not in options.views:
        raise ConfigError("--target-input: only the view transfer reads it; add it to --views")


def target_options(options: Any) -> Any:
    """The options under which the target log is read and split."""
    return dataclasses.replace(
        options,
        input=options.target_input,
        valid_input=(),
        test_input=(),
        user_col=options.target_user_col or options.user_col,
        item_col=options.target_item_col or options.item_col,
        time_col=options.target_time_col or options.time_col,
        rating_col=None,
        action_col=None,
        dwell_col=None,
        actions=None,
        min_dwell=None,
        users=None,
        items=None,
        features=None,
        numeric=(),
        multi=(),
        bands=(),
        profile_labels=(),
        views=("sequences",),
        label=None,
        negatives=None,
        drop=None,
        history_rule=None,
        split=options.transfer_split,
        target_input=(),
    )


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("target domain of the view transfer").add_argument
    add("--target-input", nargs="+", default=(), metavar="GLOB", help="log of the target domain, with common users")
    for role in ("user", "item", "time"):
        add(f"--target-{role}-col", metavar="NAME", help=f"its column of the {role} (default: as in the source log)")
    add(
        "--transfer-split",
        choices=PROTOCOLS,
        default="user",
        help="split protocol of the target log; user: whole users are held out (default: %(default)s)",
    )
    add(
        "--transfer-history",
        choices=HISTORIES,
        default=HISTORIES[0],
        help="source events of a record: those before its target event, or all (default: %(default)s)",
    )
    add("--target-sample", type=float, metavar="SHARE", help="thin out train targets above this share, as word2vec")

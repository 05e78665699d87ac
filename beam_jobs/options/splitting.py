"""Options of the split into train, valid and test."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_choice, check_moment, check_shares, share
from tfrec_zoo.errors import ConfigError

SPLITS = ("leave-one-out", "temporal", "user", "random", "files")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How train, valid and test are cut.

    Attributes:
        split: The split protocol.
        valid_share: Of `temporal` and `random`: share of the events; of `user`: share of the users.
        test_share: The same for test.
        valid_from: Of `temporal`: first moment of valid, a number in the log's unit or ISO 8601; None: by share.
        test_from: The same for test.
        valid_input: Of `files`: globs or paths of the valid rows; `input` are the train rows.
        test_input: The same for test.
        seed: Of every random choice.
    """

    split: str = "leave-one-out"
    valid_share: float = 0.1
    test_share: float = 0.1
    valid_from: str | None = None
    test_from: str | None = None
    valid_input: tuple[str, ...] = ()
    test_input: tuple[str, ...] = ()
    seed: int = 0


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    check_choice(options, "split", SPLITS)
    check_shares(options, "valid_share", "test_share")
    if options.valid_share + options.test_share >= 1:
        raise ConfigError("valid_share and test_share together leave nothing to train on: their sum must be below 1")
    for field in ("valid_from", "test_from"):
        check_moment(options, field)
        if getattr(options, field) in ("none", "now"):
            raise ConfigError(f"{field} must be a number in the log's unit or an ISO 8601 date")
        if getattr(options, field) and options.split != "temporal":
            raise ConfigError(f"{field} belongs to --split temporal, not to {options.split}")
    for field in ("valid_input", "test_input"):
        if isinstance(getattr(options, field), str):
            raise ConfigError(f"{field} must be a sequence of globs, not a string")
        object.__setattr__(options, field, tuple(str(pattern) for pattern in getattr(options, field)))
        if bool(getattr(options, field)) != (options.split == "files"):
            raise ConfigError("--split files, --valid-input and --test-input belong together: give all three or none")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("split").add_argument
    add("--split", choices=SPLITS, default=SPLITS[0], help="split protocol (default: %(default)s)")
    for part in ("valid", "test"):
        add(
            f"--{part}-share",
            type=share,
            default=0.1,
            metavar="SHARE",
            help=f"{part} share of the events, of --split user: of the users (default: %(default)s)",
        )
    for part in ("valid", "test"):
        add(f"--{part}-from", metavar="T", help=f"temporal: {part} begins here: number in the log's unit, or ISO 8601")
    for part in ("valid", "test"):
        add(f"--{part}-input", nargs="+", default=(), metavar="GLOB", help=f"files: the {part} rows; --input is train")
    add("--seed", type=int, default=0, metavar="N", help="of every random choice (default: %(default)s)")

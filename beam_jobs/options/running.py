"""Options of where and how the job runs."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_choice, check_counts, count
from tfrec_zoo.errors import ConfigError

RUNNERS = ("FnApiRunner", "DirectRunner")

PLACE_ONLY = ("output", "runner", "quiet")
"""Options that do not change what is written; dataset.json leaves them out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how the job runs.

    Attributes:
        output: Directory of the dataset.
        partitions: Partitions of the users, so at most this many shards a split; None chooses from the input's size.
        runner: "FnApiRunner", or "DirectRunner" as another name for it.
        quiet: No progress on stderr.
    """

    output: str
    partitions: int | None = None
    runner: str = "FnApiRunner"
    quiet: bool = False


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    object.__setattr__(options, "output", str(options.output))
    check_counts(options, "partitions")
    if options.partitions is not None and options.partitions > 65_536:
        raise ConfigError(f"partitions must be at most 65536, not {options.partitions}")
    check_choice(options, "runner", RUNNERS)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("where and how it runs").add_argument
    add("--output", required=True, metavar="DATA", help="directory of the dataset")
    add("--partitions", type=count, metavar="N", help="user partitions = most shards a split (default: by input size)")
    add("--runner", type=_runner, default="FnApiRunner", help="Beam runner: FnApiRunner in memory (default)")
    add("--quiet", action="store_true", help="no progress on stderr")


def _runner(text: str) -> str:
    if text not in RUNNERS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not supported yet; use {RUNNERS[0]} (in memory) or its other name {RUNNERS[1]}"
        )
    return text

"""Options of where and how the job runs."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.memory import parse_size
from beam_jobs.options.values import check_counts, count
from beam_jobs.runner_options import RunnerChoice, add_runner_arguments
from tfrec_zoo.errors import ConfigError

PLACE_ONLY = ("output", "runner", "workers", "beam_flags", "memory_limit", "quiet")
"""Options that do not change what is written; dataset.json leaves them out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how the job runs.

    Attributes:
        output: Directory of the dataset.
        partitions: Partitions of the users, so at most this many shards a split; None chooses from the input's size.
        runner, workers, beam_flags: Name, workers and flags of a `RunnerChoice`.
        memory_limit: What a worker may take, such as "512M" or "4G"; None: of a local runner what the machine has left.
        quiet: No progress on stderr.
    """

    output: str
    partitions: int | None = None
    runner: str = "FnApiRunner"
    workers: int | None = None
    beam_flags: tuple[str, ...] = ()
    memory_limit: str | None = None
    quiet: bool = False

    @property
    def runner_choice(self) -> RunnerChoice:
        """The runner and what it is told."""
        return RunnerChoice(self.runner, self.workers, tuple(self.beam_flags))


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    object.__setattr__(options, "output", str(options.output))
    check_counts(options, "partitions")
    if options.partitions is not None and options.partitions > 65_536:
        raise ConfigError(f"partitions must be at most 65536, not {options.partitions}")
    if options.memory_limit is not None:
        parse_size(options.memory_limit)
    object.__setattr__(options, "beam_flags", options.runner_choice.flags)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    group = parser.add_argument_group("where and how it runs")
    add = group.add_argument
    add("--output", required=True, metavar="DATA", help="directory of the dataset")
    add("--partitions", type=count, metavar="N", help="user partitions = most shards a split (default: by input size)")
    add_runner_arguments(group)
    add("--memory-limit", metavar="SIZE", help="what a worker may take, as in 512M or 4G (default: what is free)")
    add("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(beam_flags=())

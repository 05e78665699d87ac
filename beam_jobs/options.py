"""What the prepare job can be told: a frozen dataclass and its flags.

Standard library only, so that `--help` needs neither Beam nor pyarrow. Both faces (`tfrec prepare` and
`python -m beam_jobs.prepare`) call `add_arguments`, so their flags cannot drift apart.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from tfrec_zoo.errors import ConfigError

SPLITS = ("leave-one-out",)
COMPRESSIONS = ("none", "gzip")
RUNNERS = ("FnApiRunner", "DirectRunner")
DEFAULT_RATING = "rating"

_PLACE_ONLY = ("output", "runner", "quiet")
"""Options that do not change what is written; dataset.json leaves them out."""


@dataclasses.dataclass(frozen=True)
class PrepareOptions:
    """Options of the prepare job.

    Attributes:
        input: Globs or paths of .csv, .csv.gz and .parquet files; their order does not matter.
        output: Directory of the dataset.
        user_col, item_col, time_col: Columns of the log.
        rating_col: Column of the rating; None means "rating" if the log has such a column, else no ratings.
        delimiter: Field separator of CSV files, one character.
        split: The split protocol.
        max_length: Most recent items kept in a record's history.
        min_item_count: Train rows that an item needs for an id of its own; others are out of vocabulary.
        max_reject_share: The job fails when a larger share of the rows is rejected.
        partitions: Partitions of the users, so at most this many shards a split; None chooses from the input's size.
        compression: "none" or "gzip".
        runner: "FnApiRunner", or "DirectRunner" as another name for it.
        quiet: No progress on stderr.

    Raises:
        ConfigError: A value is out of its range.
    """

    input: tuple[str, ...]
    output: str
    user_col: str = "user_id"
    item_col: str = "item_id"
    time_col: str = "timestamp"
    rating_col: str | None = None
    delimiter: str = ","
    split: str = "leave-one-out"
    max_length: int = 200
    min_item_count: int = 1
    max_reject_share: float = 0.01
    partitions: int | None = None
    compression: str = "none"
    runner: str = "FnApiRunner"
    quiet: bool = False

    def __post_init__(self) -> None:
        """Checks every value, so that a job never starts on options that it cannot keep."""
        if isinstance(self.input, str):
            raise ConfigError(f"input must be a sequence of globs, not the string {self.input!r}")
        object.__setattr__(self, "input", tuple(str(pattern) for pattern in self.input))
        object.__setattr__(self, "output", str(self.output))
        if not self.input:
            raise ConfigError("input names no file: give at least one glob or path")
        for name in ("max_length", "min_item_count", "partitions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if self.partitions is not None and self.partitions > 65_536:
            raise ConfigError(f"partitions must be at most 65536, not {self.partitions}")
        if not 0 <= self.max_reject_share <= 1:
            raise ConfigError(f"max_reject_share must lie between 0 and 1, not {self.max_reject_share}")
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ConfigError(f"delimiter must be one ASCII character, not {self.delimiter!r} (write a tab as \\t)")
        for name, choices in (("split", SPLITS), ("compression", COMPRESSIONS), ("runner", RUNNERS)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r} is not supported: choose one of {', '.join(choices)}"
                )
        columns = [self.user_col, self.item_col, self.time_col, self.rating_col or DEFAULT_RATING]
        if len(set(columns)) < len(columns):
            raise ConfigError(f"user, item, time and rating must be four different columns, not {', '.join(columns)}")

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> PrepareOptions:
        """Options of parsed flags; attributes of `args` that are not options are left alone."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: getattr(args, name) for name in names})

    def recorded(self, partitions: int) -> dict[str, Any]:
        """What dataset.json keeps: everything that the files depend on, and nothing else.

        Args:
            partitions: The number that was used, so that a repetition does not depend on a default.
        """
        content = {name: value for name, value in dataclasses.asdict(self).items() if name not in _PLACE_ONLY}
        return {**content, "input": sorted(self.input), "partitions": partitions}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the prepare job; `PrepareOptions.from_args` reads them back."""
    add = parser.add_argument
    add("--input", nargs="+", required=True, metavar="GLOB", help=".csv, .csv.gz or .parquet files of the log")
    add("--output", required=True, metavar="DATA", help="directory of the dataset")
    add("--user-col", default="user_id", metavar="NAME", help="column of the user id (default: %(default)s)")
    add("--item-col", default="item_id", metavar="NAME", help="column of the item id (default: %(default)s)")
    add("--time-col", default="timestamp", metavar="NAME", help="column of the time (default: %(default)s)")
    add("--rating-col", metavar="NAME", help="column of the rating (default: rating, when the log has it)")
    add("--delimiter", type=_delimiter, default=",", metavar="CHAR", help="field separator of CSV files, \\t for a tab")
    add("--split", choices=SPLITS, default=SPLITS[0], help="split protocol (default: %(default)s)")
    add("--max-length", type=_count, default=200, metavar="N", help="most recent items kept (default: %(default)s)")
    add(
        "--min-item-count",
        type=_count,
        default=1,
        metavar="N",
        help="train rows an item needs for an id of its own, others are out of vocabulary (default: %(default)s)",
    )
    add(
        "--max-reject-share",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="fail when a larger share of the rows is rejected (default: %(default)s)",
    )
    add("--partitions", type=_count, metavar="N", help="user partitions = most shards a split (default: by input size)")
    add("--compression", choices=COMPRESSIONS, default="none", help="gzip: smaller shards, 2.3x slower to read back")
    add("--runner", type=_runner, default="FnApiRunner", help="Beam runner: FnApiRunner in memory (default)")
    add("--quiet", action="store_true", help="no progress on stderr")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, not {text}")
    return value


def _delimiter(text: str) -> str:
    value = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(value) != 1 or not value.isascii() or value in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one ASCII character, not {text!r} (write a tab as \\t)")
    return value


def _runner(text: str) -> str:
    if text not in RUNNERS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not supported yet; use {RUNNERS[0]} (in memory) or its other name {RUNNERS[1]}"
        )
    return text

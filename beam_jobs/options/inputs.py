"""Options of what is read: files, columns, and how many bad rows are borne."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_moment, check_shares, names, share
from tfrec_zoo.errors import ConfigError

DEFAULT_RATING = "rating"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What is read.

    Attributes:
        input: Globs or paths of .csv, .tsv, .txt, .jsonl, .ndjson (all perhaps with .gz) and .parquet files; their
            order does not matter.
        columns: Names of the columns of text files that have no header; None: the first line has them.
        user_col, item_col, time_col: Columns of the log.
        rating_col: Column of the rating; None means "rating" if the log has such a column, else no ratings.
        action_col: Column of what the user did (click, buy), or None.
        dwell_col: Column of how long or how far the user stayed (seconds, share of a film), or None.
        delimiter: Field separator of text files, one character; None: a comma, in .tsv files a tab.
        quoted_newlines: Whether quoted values of text files may contain newlines; without them, big files are read in
            ranges by many workers.
        min_time: Earlier times are rejected: a number in the log's unit, ISO 8601, or "none".
        max_time: Later times are rejected; also "now": later than a day after the job's start.
        max_reject_share: The job fails when a larger share of the rows is rejected.
    """

    input: tuple[str, ...]
    user_col: str = "user_id"
    item_col: str = "item_id"
    time_col: str = "timestamp"
    rating_col: str | None = None
    action_col: str | None = None
    dwell_col: str | None = None
    columns: tuple[str, ...] | None = None
    delimiter: str | None = None
    quoted_newlines: bool = True
    min_time: str = "0"
    max_time: str = "now"
    max_reject_share: float = 0.01


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    if isinstance(options.input, str):
        raise ConfigError(f"input must be a sequence of globs, not the string {options.input!r}")
    object.__setattr__(options, "input", tuple(str(pattern) for pattern in options.input))
    if not options.input:
        raise ConfigError("input names no file: give at least one glob or path")
    check_shares(options, "max_reject_share")
    if options.columns is not None:
        object.__setattr__(options, "columns", tuple(options.columns))
        if len(set(options.columns)) < len(options.columns):
            raise ConfigError(f"columns names one twice: {', '.join(options.columns)}")
    for field in ("min_time", "max_time"):
        check_moment(options, field)
    if options.delimiter is None:
        pass
    elif len(options.delimiter) != 1 or not options.delimiter.isascii() or options.delimiter in '"\r\n':
        raise ConfigError(f"delimiter must be one ASCII character, not {options.delimiter!r} (write a tab as \\t)")
    columns = [options.user_col, options.item_col, options.time_col, options.rating_col or DEFAULT_RATING]
    columns += [name for name in (options.action_col, options.dwell_col) if name]
    if len(set(columns)) < len(columns):
        raise ConfigError(f"the roles of the log need different columns, not {', '.join(columns)}")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("what is read").add_argument
    add("--input", nargs="+", required=True, metavar="GLOB", help=".csv, .tsv, .jsonl (.gz) or .parquet files")
    add("--user-col", default="user_id", metavar="NAME", help="column of the user id (default: %(default)s)")
    add("--item-col", default="item_id", metavar="NAME", help="column of the item id (default: %(default)s)")
    add("--time-col", default="timestamp", metavar="NAME", help="column of the time (default: %(default)s)")
    add("--rating-col", metavar="NAME", help="column of the rating (default: rating, when the log has it)")
    add("--action-col", metavar="NAME", help="column of what the user did, such as click or buy")
    add("--dwell-col", metavar="NAME", help="column of how long, or how far to the end, the user stayed")
    add("--columns", type=names, metavar="NAME,...", help="the columns of text files that have no header")
    add(
        "--delimiter",
        type=_delimiter,
        metavar="CHAR",
        help="field separator of text files, \\t for a tab (default: comma, tab for .tsv)",
    )
    add(
        "--no-quoted-newlines",
        dest="quoted_newlines",
        action="store_false",
        help="no quoted value contains a newline: big text files are then read in ranges, by many workers",
    )
    add("--min-time", default="0", metavar="T", help="reject earlier times: number, ISO 8601, none (default: 0)")
    add("--max-time", default="now", metavar="T", help="reject later times (default: now, which gives a day's grace)")
    add(
        "--max-reject-share",
        type=share,
        default=0.01,
        metavar="SHARE",
        help="fail when a larger share of the rows is rejected (default: %(default)s)",
    )


def _delimiter(text: str) -> str:
    value = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(value) != 1 or not value.isascii() or value in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one ASCII character, not {text!r} (write a tab as \\t)")
    return value

"""Options of what is written: views, length of histories, compression."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_choice, check_counts, count, names
from beam_jobs.views import VIEWS
from tfrec_zoo.errors import ConfigError

COMPRESSIONS = ("none", "gzip")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """What is written.

    Attributes:
        views: Names of the views, see beam_jobs/views.
        max_length: Most recent items kept in a record's history.
        window_stride: Cut train histories that are longer than `max_length` into windows of that length, each this many
            items older than the next; None: only the newest window.
        compression: "none" or "gzip".
    """

    views: tuple[str, ...] = ("sequences",)
    max_length: int = 200
    window_stride: int | None = None
    compression: str = "none"


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    if isinstance(options.views, str):
        raise ConfigError(f"views must be a sequence of names, not the string {options.views!r}")
    object.__setattr__(options, "views", tuple(dict.fromkeys(options.views)))
    unknown = [name for name in options.views if name not in VIEWS]
    if unknown or not options.views:
        what = f"views {', '.join(map(repr, unknown))} are not known" if unknown else "views names none"
        raise ConfigError(f"{what}: choose of {', '.join(VIEWS)}")
    check_counts(options, "max_length", "window_stride")
    if options.window_stride and options.window_stride > options.max_length:
        raise ConfigError(
            f"window_stride {options.window_stride} is more than max_length {options.max_length}: items would be missed"
        )
    check_choice(options, "compression", COMPRESSIONS)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("what is written").add_argument
    add(
        "--views",
        type=names,
        default=("sequences",),
        metavar="VIEW,...",
        help=f"views with commas between them, of {', '.join(VIEWS)} (default: sequences)",
    )
    add("--max-length", type=count, default=200, metavar="N", help="most recent items kept (default: %(default)s)")
    add(
        "--window-stride",
        type=count,
        metavar="N",
        help="cut longer train histories into windows of --max-length items, N items apart (default: newest one only)",
    )
    add("--compression", choices=COMPRESSIONS, default="none", help="gzip: smaller shards, 2.3x slower to read back")

"""Options of the tables that describe users and items."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from beam_jobs.options.values import names
from tfrec_zoo.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """What is known of users and items beside the log. Ids stand in columns of the same names as in the log.

    Attributes:
        users: File of user features, of a kind that `input` takes, or None.
        items: File of item features, or None.
        features: Columns to use; None: all.
        numeric: Columns that hold numbers, standardised by their mean and deviation over the train rows.
        multi: Column -> separator, for columns of several values (`Action|Comedy`). All other columns are categories.
        bands: Column of numbers -> ascending cuts; the band becomes a category of its own, `<column>_band`.
    """

    users: str | None = None
    items: str | None = None
    features: tuple[str, ...] | None = None
    numeric: tuple[str, ...] = ()
    multi: tuple[tuple[str, str], ...] = ()
    bands: tuple[tuple[str, tuple[float, ...]], ...] = ()


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    for field in ("users", "items"):
        if getattr(options, field) is not None:
            object.__setattr__(options, field, str(getattr(options, field)))
    for field in ("features", "numeric"):
        if isinstance(getattr(options, field), str):
            raise ConfigError(f"{field} must be a sequence of column names, not a string")
        if getattr(options, field) is not None:
            object.__setattr__(options, field, tuple(getattr(options, field)))
    multi = options.multi.items() if isinstance(options.multi, Mapping) else options.multi
    object.__setattr__(options, "multi", tuple((str(name), str(separator)) for name, separator in multi))
    several = [name for name, _ in options.multi]
    if not all(separator for _, separator in options.multi):
        raise ConfigError("multi needs a separator for every column, such as genres='|'")
    twice = {name for name in several if several.count(name) > 1} | (set(several) & set(options.numeric))
    if twice:
        raise ConfigError(f"a column has one kind; {', '.join(sorted(twice))} has two")
    bands = options.bands.items() if isinstance(options.bands, Mapping) else options.bands
    object.__setattr__(options, "bands", tuple((str(name), tuple(map(float, cuts))) for name, cuts in bands))
    for name, cuts in options.bands:
        if not cuts or list(cuts) != sorted(set(cuts)) or not all(map(math.isfinite, cuts)):
            raise ConfigError(f"bands of {name} need ascending cuts, such as {name}=18,25,35")
        if name not in options.numeric:
            raise ConfigError(f"bands cut numbers: name {name} in numeric too")
    if (options.features or options.numeric or several) and not (options.users or options.items):
        raise ConfigError("features, numeric and multi name columns of --users and --items, of which there is none")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("features of users and items").add_argument
    add("--users", metavar="F", help="table of user features, its ids in the column --user-col")
    add("--items", metavar="F", help="table of item features, its ids in the column --item-col")
    add("--features", type=names, metavar="NAME,...", help="columns of the tables to use (default: all)")
    add("--numeric", type=names, default=(), metavar="NAME,...", help="columns of numbers; all others are categories")
    add(
        "--multi",
        nargs="+",
        type=_pair,
        default=(),
        metavar="NAME=SEP",
        help="columns of several values and what separates these: --multi genres='|' tags=' '",
    )
    add(
        "--bands",
        nargs="+",
        type=_cuts,
        default=(),
        metavar="NAME=CUT,...",
        help="bands of numbers as categories NAME_band: --bands age=18,25,35,45,50,56",
    )


def _cuts(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, cuts = text.partition("=")
    try:
        return name, tuple(float(cut) for cut in cuts.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be NAME=CUT,CUT,..., not {text!r}") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, separator = text.partition("=")
    if not name or not equals or not separator:
        raise argparse.ArgumentTypeError(f"must be NAME=SEPARATOR, not {text!r}")
    return name, separator

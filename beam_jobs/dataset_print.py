"""The result of `tfrec inspect` for people: tables and bars in a terminal."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_LOG_WIDTH, _BAR, _MOST_VALUES = 110, 36, 8
_SECONDS, _MILLISECONDS = (10**8, 10**10), (10**11, 10**13)
"""Numbers in these ranges (from 1973 to 2286) are shown as times."""


def print_dataset(result: Mapping[str, Any]) -> None:
    """Prints what `inspect` returned."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH, highlight=False)
    if "users" in result:
        _card(console, result)
    if "sample" in result:
        _sample(console, result["sample"])
    if "verify" in result:
        _verify(console, result["verify"])


def _card(console: Console, card: Mapping[str, Any]) -> None:
    popularity = card["popularity"]
    console.print(f"[bold]{escape(card['path'])}[/]")
    console.print(
        f"{card['interactions']:,} interactions of {card['users']:,} users with {card['items']:,} items, "
        f"{card['catalog']:,} of them in the vocabulary; density {card['density']:.3%}"
    )
    details = "".join(f", {name} {value}" for name, value in card["split"]["details"].items())
    console.print(f"split {card['split']['protocol']}{details}, hash {card['split']['hash']}")
    if card["generated"]:
        counts = ", ".join(f"{count:,} of {view}" for view, count in card["generated"]["records"].items())
        beside = "beside the real ones" if card["generated"]["real"] else "and no real ones"
        console.print(f"train records written by {card['generated']['model']}: {counts}, {beside}")
    for name, what in (("rejects", "rejected rows"), ("dropped", "rows dropped by filters")):
        counts = ", ".join(f"{count:,} {reason}" for reason, count in card[name].items())
        console.print(f"{what}: {counts or 'none'}")
    console.print()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("view")
    table.add_column("split")
    for name in ("records", "MiB", "shards", "mean length", "median", "90%", "longest"):
        table.add_column(name, justify="right")
    for view, splits in card["parts"].items():
        for split, size in splits.items():
            length = card["lengths"].get(view, {}).get(split)
            lengths = ["", "", "", ""]
            if length and length["quantiles"]:
                quantiles = length["quantiles"]
                lengths = [f"{length['mean']:.1f}", *(f"{quantiles[name]:,}" for name in ("50%", "90%", "100%"))]
            size_mib = f"{size['bytes'] / 2**20:,.1f}"
            table.add_row(view, split, f"{size['records']:,}", size_mib, f"{size['shards']:,}", *lengths)
    console.print(table)
    for view, splits in card["lengths"].items():
        split = "train" if "train" in splits else next(iter(splits))
        _bars(console, f"length of histories, {view}/{split}", splits[split]["histogram"])
    shares = {f"top {share}": value for share, value in popularity["top_shares"].items()}
    _bars(console, "share of the train interactions that the most popular items take", shares)
    console.print(
        f"most popular item {popularity['most']:,}, median {popularity['median']:g}, seen once {popularity['once']:,} "
        f"items, Gini {popularity['gini']:.3f}\n"
    )
    _features(console, card["features"])


def _bars(console: Console, title: str, values: Mapping[str, float]) -> None:
    if not values:
        return
    console.print(f"[bold]{title}[/]")
    width, largest = max(map(len, values)), max(values.values()) or 1
    for name, value in values.items():
        eighths = round(value / (1 if largest <= 1 else largest) * _BAR * 8)
        bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8]).rstrip()
        shown = f"{value:.1%}" if isinstance(value, float) else f"{value:,}"
        console.print(f"  {name:>{width}}  [cyan]{bar}[/] {shown}")
    console.print()


def _features(console: Console, features: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("view", "feature", "type", "values", "vocabulary"):
        table.add_column(name)
    for view, specs in features.items():
        for name, spec in specs.items():
            count = "any number" if tuple(spec["shape"]) == (-1,) else "x".join(map(str, spec["shape"]))
            words = f"{spec['vocabulary']} ({spec['cardinality']:,})" if spec["vocabulary"] else ""
            if spec.get("mean") is not None:
                words = f"({spec['mean']:.4g} ± {spec['deviation'] or 0:.4g})"
            table.add_row(view, escape(name), spec["dtype"], count, escape(words))
    console.print(table)


def _sample(console: Console, sample: Mapping[str, Any]) -> None:
    console.print(f"[bold]{sample['view']}/{sample['split']}[/]")
    for row in sample["rows"]:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in row.items():
            table.add_row(escape(name), escape(_shown(value)))
        console.print(table)
        console.print()


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return _one(value)
    newest = ", ".join(_one(one) for one in value[-_MOST_VALUES:])
    return f"… {len(value) - _MOST_VALUES:,} earlier, {newest}" if len(value) > _MOST_VALUES else newest


def _one(value: Any) -> str:
    if isinstance(value, int):
        for (low, high), unit in ((_SECONDS, 1), (_MILLISECONDS, 1000)):
            if low <= value < high:
                moment = datetime.datetime.fromtimestamp(value / unit, datetime.timezone.utc)
                return moment.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _verify(console: Console, found: Mapping[str, Any]) -> None:
    read = f"{found['files']:,} files, {found['records']:,} records, {found['bytes']:,} bytes read"
    for note in found["notes"]:
        console.print(f"note: {escape(note)}")
    if found["ok"]:
        console.print(f"[green]verified[/]: {read}; checksums, counts, digests, ids and splits are right")
        return
    console.print(f"[red]damaged[/]: {read}; {found['faults']:,} faults")
    for line in found["first_faults"]:
        console.print(f"  {escape(line)}")

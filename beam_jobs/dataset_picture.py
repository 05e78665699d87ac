"""`tfrec inspect --plot`: a dataset in one picture, with matplotlib and without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.dataset_card import history_feature, lengths
from beam_jobs.dataset_rows import parts
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError

_INK, _SOFT, _GRID = "#1f2933", "#66788a", "#e4e9ee"
_COLORS = {"train": "#2f6f9f", "valid": "#e0a030", "test": "#c8553d"}
_HEAD, _TAIL = "#2f6f9f", "#9fc3dc"


def draw(spec: DatasetSpec, card: dict[str, Any], target: str | Path) -> None:
    """Draws popularity, concentration, lengths and the split.

    Args:
        spec: Of the dataset.
        card: From `dataset_card.card`.
        target: .png, .svg or .pdf.

    Raises:
        DataError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.6), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, left=0.07, right=0.965, top=0.82, bottom=0.085, wspace=0.32, hspace=0.42)
    figure.text(0.07, 0.945, _name(spec), size=17, weight="bold", color=_INK)
    figure.text(0.07, 0.905, _subtitle(card), size=10.5, color=_SOFT)
    _popularity(figure.add_subplot(grid[0, 0]), np.asarray(spec.item_counts))
    _concentration(figure.add_subplot(grid[0, 1]), np.asarray(spec.item_counts), card["popularity"])
    _lengths(figure.add_subplot(grid[1, 0]), spec)
    _split(figure.add_subplot(grid[1, 1]), card)
    figure.text(
        0.965,
        0.018,
        f"split {card['split']['protocol']} · {card['split']['hash'][:16]}",
        ha="right",
        size=9,
        color=_SOFT,
    )
    try:
        figure.savefig(target)
    except (OSError, ValueError) as error:
        raise DataError(f"--plot {target} cannot be written: {error}") from error


def _name(spec: DatasetSpec) -> str:
    return spec.directory.resolve().name


def _subtitle(card: dict[str, Any]) -> str:
    rejected = sum(card["rejects"].values())
    return (
        f"{card['interactions']:,} interactions of {card['users']:,} users with {card['items']:,} items "
        f"({card['catalog']:,} in the vocabulary), density {card['density']:.2%}, {rejected:,} rows rejected"
    )


def _tidy(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", size=11.5, color=_INK, weight="bold", pad=9)
    axes.set_xlabel(x, size=9, color=_SOFT)
    axes.set_ylabel(y, size=9, color=_SOFT)
    axes.tick_params(labelsize=8.5, colors=_SOFT, length=0)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _popularity(axes: Any, counts: np.ndarray) -> None:
    rank, shown = np.arange(1, len(counts) + 1), np.maximum(counts, 0.5)
    axes.loglog(rank, shown, color=_HEAD, linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.fill_between(rank, 0.5, shown, color=_TAIL, alpha=0.45, linewidth=0)
    _tidy(axes, "Popularity of items", "rank", "train interactions")


def _concentration(axes: Any, counts: np.ndarray, popularity: dict[str, Any]) -> None:
    reached = np.append(0, np.cumsum(counts)) / max(1, counts.sum())
    share = np.linspace(0, 1, len(reached))
    axes.plot(share, reached, color=_HEAD, linewidth=2)
    axes.fill_between(share, share, reached, color=_TAIL, alpha=0.45, linewidth=0)
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    top = popularity["top_shares"].get("10%")
    if top is not None:
        axes.plot([0.1], [top], "o", color=_COLORS["test"], markersize=6)
        axes.annotate(
            f"the top 10% of items take {top:.0%}",
            (0.1, top),
            (10, -14),
            textcoords="offset points",
            size=9,
            color=_INK,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    _tidy(axes, f"Concentration (Gini {popularity['gini']:.2f})", "items, most popular first", "train interactions")


def _lengths(axes: Any, spec: DatasetSpec) -> None:
    """Histories of sequences, or else of the first view that has them; its splits as steps over each other."""
    views = [(view, feature) for view in parts(spec) if (feature := history_feature(spec, view))]
    if not views:
        _tidy(axes, "No view with histories", "", "")
        return
    view, feature = next((pair for pair in views if pair[0] == "sequences"), views[0])
    splits = parts(spec)[view]
    values = {split: lengths(spec, view, split, feature) for split in splits if split in _COLORS}
    longest = max((int(found.max()) for found in values.values() if len(found)), default=1)
    edges = np.unique(np.linspace(0, longest + 1, min(longest + 2, 41)).astype(int))
    for split, found in values.items():
        # Equal areas: a share of the records, so that a small split is seen beside a large one.
        weights = np.full(len(found), 100 / max(1, len(found)))
        style = (
            {"histtype": "stepfilled", "alpha": 0.35} if split == "train" else {"histtype": "step", "linewidth": 1.6}
        )
        axes.hist(found, edges, weights=weights, color=_COLORS[split], label=split, **style)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK)
    axes.yaxis.set_major_formatter("{x:.0f}%")
    _tidy(axes, f"Length of histories ({view})", f"{feature} in a record", "records")


def _split(axes: Any, card: dict[str, Any]) -> None:
    """Records of every part, as bars with their numbers."""
    from matplotlib.ticker import MaxNLocator

    bars = [
        (f"{view} / {split}", split, size["records"])
        for view, all_ in card["parts"].items()
        for split, size in all_.items()
    ]
    names, splits, records = zip(*bars[::-1], strict=True)
    axes.barh(names, records, color=[_COLORS.get(split, _SOFT) for split in splits], height=0.62)
    for place, count in enumerate(records):
        axes.annotate(f"{count:,}", (count, place), (5, 0), textcoords="offset points", va="center", size=9, color=_INK)
    axes.set_xlim(0, max(records) * 1.18)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _tidy(axes, "Records", "", "")
    axes.grid(axis="y", visible=False)

"""The page of `tfrec bench seqgan-oracle`: the table, the curves and the frontier, in one file without network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec_zoo.errors import EvaluationError
from tfrec_zoo.evaluation.html_page import html_page, html_table
from tfrec_zoo.evaluation.result_card import write_whole
from tfrec_zoo.evaluation.svg_chart import Line, line_chart

if TYPE_CHECKING:
    from tfrec_zoo.benchmarks.seqgan_oracle import Point


def write_page(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    likelihood: Sequence[Point],
    frontiers: Mapping[str, Sequence[Point]],
    curves: Mapping[str, Sequence[Point]],
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: The HTML file.
        rows: Of the table, with equal keys.
        likelihood: An epoch each, of one seed.
        frontiers: Name -> a temperature each.
        curves: Arm -> a round each; with the frontiers at most six.

    Raises:
        EvaluationError: It cannot be written.
    """
    charts = [
        _chart(
            {
                "NLL_oracle": [(each.step, each.nll_oracle) for each in likelihood],
                "NLL_test": [(each.step, each.nll_test) for each in likelihood],
            },
            "Epochs of likelihood",
            "epoch",
            "nats",
        ),
        _chart(
            {arm: [(each.step, each.nll_oracle) for each in curve] for arm, curve in curves.items()},
            "NLL_oracle over the rounds",
            "round",
            "NLL_oracle",
        ),
        _chart(
            {arm: [(each.step, each.nll_test) for each in curve] for arm, curve in curves.items()},
            "NLL_test over the rounds",
            "round",
            "NLL_test",
        ),
        _chart(
            {
                name: sorted((each.nll_test, each.nll_oracle) for each in points)
                for name, points in {**curves, **frontiers}.items()
            },
            "NLL_oracle by NLL_test: below the temperatures is better",
            "NLL_test",
            "NLL_oracle",
        ),
    ]
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    table, drawn = html_table(list(rows[0]), cells), f'<div class="charts">{"".join(charts)}</div>'
    try:
        page = html_page("SeqGAN and its controls", f"<section>{table}</section><section>{drawn}</section>")
        write_whole(path, page)
    except OSError as error:
        raise EvaluationError(f"the report {path} cannot be written: {error}") from error


def _chart(lines: Mapping[str, Sequence[tuple[float, float]]], title: str, x_label: str, y_label: str) -> str:
    drawn = [Line(name, [x for x, _ in points], [y for _, y in points]) for name, points in lines.items()]
    chart = line_chart(drawn, title=title, x_label=x_label, y_label=y_label, y_from_zero=False)
    return f"<div><h2>{escape(title)}</h2>{chart}</div>"

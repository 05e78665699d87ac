"""The page of `tfrec bench seqgan-oracle`: the table, the curves and the frontier, in one file without network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec_zoo.errors import EvaluationError
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
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(_row(list(row.values())) for row in rows)
    style = (resources.files("tfrec_zoo") / "evaluation" / "report.css").read_text(encoding="utf-8")
    try:
        write_whole(
            path,
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>SeqGAN and its controls</title><style>{style}</style></head><body><main>"
            f"<h1>SeqGAN and its controls</h1><section>"
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
            f'<section><div class="charts">{"".join(charts)}</div></section></main></body></html>\n',
        )
    except OSError as error:
        raise EvaluationError(f"the report {path} cannot be written: {error}") from error


def _row(values: Sequence[Any]) -> str:
    name, *figures = ("" if value is None else escape(str(value)) for value in values)
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{figure}</td>" for figure in figures)}</tr>'


def _chart(lines: Mapping[str, Sequence[tuple[float, float]]], title: str, x_label: str, y_label: str) -> str:
    drawn = [Line(name, [x for x, _ in points], [y for _, y in points]) for name, points in lines.items()]
    chart = line_chart(drawn, title=title, x_label=x_label, y_label=y_label, y_from_zero=False)
    return f"<div><h2>{escape(title)}</h2>{chart}</div>"

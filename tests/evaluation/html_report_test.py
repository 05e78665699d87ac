"""The page: well-formed, self-contained, and with the figures that the command printed."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tfrec_zoo.errors import EvaluationError
from tfrec_zoo.evaluation.report import evaluate_run
from tfrec_zoo.evaluation.svg_chart import Line, line_chart

_VOID = {"meta", "br", "hr"}


class Balance(HTMLParser):
    """Fails where a tag is closed that was not the last one opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.add(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_holds_the_figures(run: Path, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    report = evaluate_run(run, data, filter_seen=True, report=page, command="tfrec evaluate <x>", quiet=True)
    text = page.read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert "script" not in parser.seen
    assert not re.search(r"https?://|src=|@import|url\(", text), "nothing is fetched"
    assert text.count('<svg class="chart"') == 3
    low, high = report["intervals"]["ndcg@10"]
    assert f"{report['metrics']['ndcg@10']:.4f} [{low:.4f}, {high:.4f}]" in text
    assert f"{report['baselines']['markov']['hr@10']:.4f}" in text
    assert report["protocol"]["split_hash"] in text
    assert "tfrec evaluate &lt;x&gt;" in text
    assert "max_length: 12" in text
    assert "prefers-color-scheme: dark" in text


def test_a_sampled_page_says_so_and_a_run_without_history_has_no_curves(run: Path, data: Path, tmp_path: Path) -> None:
    (run / "history.csv").unlink()
    evaluate_run(run, data, sampled="uniform:10", report=tmp_path / "out.html", quiet=True)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "sampled: target and 10 uniform negatives" in text
    assert "whole catalogue" not in text
    assert '<svg class="chart"' not in text


def test_a_page_that_cannot_be_written_is_one_clear_error(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"the report .*nowhere/out.html cannot be written"):
        evaluate_run(run, data, report=tmp_path / "nowhere" / "out.html", quiet=True)


def test_a_chart_puts_points_where_the_axes_say() -> None:
    lines = [Line("a & b", [1, 10, 100], [0.0, 0.5, 1.0]), Line("c", [1, 100, 100], [1.0, 0.0, float("nan")])]
    figure = ElementTree.fromstring(line_chart(lines, title="t", x_label="x", y_label="y", log_x=True, percent=True))
    svg = figure.find("svg")
    first, second = (
        [tuple(map(float, point.split(","))) for point in line.get("points").split()] for line in svg.iter("polyline")
    )
    assert first[1][0] == pytest.approx((first[0][0] + first[2][0]) / 2, abs=0.1), "logarithmic"
    assert first[0][1] > first[1][1] > first[2][1], "upwards"
    assert len(second) == 2, "a point that is no number is left out"
    assert {"0%", "100%", "1", "10", "100"} <= {text.text for text in svg.iter("text")}
    assert [span[0].tail for span in figure.find("figcaption")] == ["a & b", "c"]


def test_a_chart_of_one_point_and_of_a_constant() -> None:
    for line in (Line("one", [5], [0.3]), Line("flat", [1, 2], [0.0, 0.0])):
        svg = line_chart([line], title="t", x_label="x", y_label="y")
        assert "nan" not in svg
        ElementTree.fromstring(svg)

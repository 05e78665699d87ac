"""`tfrec evaluate --report out.html`: one self-contained page, without scripts and without network.

Figures with intervals beside the baselines, training curves, whom the recommendations favour, protocol, configuration.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import EvaluationError
from tfrec_zoo.evaluation.groups import HISTORY_GROUPS, POPULARITY_GROUPS
from tfrec_zoo.evaluation.html_page import html_page, html_table
from tfrec_zoo.evaluation.provenance import hardware, versions
from tfrec_zoo.evaluation.result_card import describe, headline_metrics, with_interval, write_whole
from tfrec_zoo.evaluation.svg_chart import Line, line_chart
from tfrec_zoo.runs.run_directory import RunDirectory

_CURVE_POINTS = 200


def write_page(
    path: str | os.PathLike[str],
    result: Mapping[str, Any],
    exposures: Mapping[str, np.ndarray],
    run: RunDirectory,
    spec: DatasetSpec,
    command: str | None = None,
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: The HTML file.
        result: What `evaluate_run` returns.
        exposures: Scorer -> how often it recommends every item, int64 (catalog_size,).
        run: The run.
        spec: The dataset.
        command: Command line to show.

    Raises:
        EvaluationError: The file cannot be written.
    """
    try:
        write_whole(Path(path), to_html(result, exposures, run, spec, command))
    except OSError as error:
        raise EvaluationError(f"the report {path} cannot be written: {error}") from error


def to_html(
    result: Mapping[str, Any],
    exposures: Mapping[str, np.ndarray],
    run: RunDirectory,
    spec: DatasetSpec,
    command: str | None = None,
) -> str:
    """The page as text; arguments as of `write_page`."""
    headline = headline_metrics(result["metrics"])
    sections = [
        _cards(result, headline),
        _section("Beside the baselines", _metrics_table(result)),
        _section("Training", _training_curves(run)),
        _section("Whom the recommendations favour", _popularity_curve(exposures, spec)),
        _section("By group", _groups(result, headline)),
        _section("Protocol and origin", _facts(result, spec, run, command)),
        _section("Configuration", f"<pre>{escape(yaml.safe_dump(run.config().to_dict(), sort_keys=False))}</pre>"),
    ]
    title = f"{result['model']} on {spec.directory.resolve().name}"
    return html_page(title, f"<p>{escape(describe(result))}</p>{''.join(sections)}")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _cards(result: Mapping[str, Any], headline: list[str]) -> str:
    best = {name: max(baseline[name] for baseline in result["baselines"].values()) for name in headline}
    cards = "".join(
        f'<div class="card"><span>{escape(name)}</span><strong>{result["metrics"][name]:.4f}</strong>'
        f"<small>95%: {result['intervals'][name][0]:.4f} to {result['intervals'][name][1]:.4f}</small>"
        f"<small>best baseline {best[name]:.4f}</small></div>"
        for name in headline
    )
    return f'<div class="cards">{cards}</div>'


def _metrics_table(result: Mapping[str, Any]) -> str:
    rows = {result["model"]: result["metrics"], **result["baselines"]}
    ends = {result["model"]: result["intervals"], **result["baseline_intervals"]}
    metrics = [name for name in result["metrics"] if not name.startswith(("recall@", "map@"))]
    body = [[name, *(with_interval(rows[scorer][name], ends[scorer].get(name)) for scorer in rows)] for name in metrics]
    note = (
        f"In brackets: {result['protocol']['intervals']}. With one target a user, Recall@k is HR@k and MAP@k is MRR@k. "
        "popularity: mean train interactions of the recommended items; popularity_ratio: the same over that of "
        "the users' histories; diversity: mean 1 - cosine between the train users of a list's items (of 2,000 lists at "
        "most); gini: of how often items are recommended, 0 when all equally."
    )
    return html_table(["metric", *rows], body) + f'<p class="note">{escape(note)}</p>'


def _training_curves(run: RunDirectory) -> str:
    path = run.path / "history.csv"
    if not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    if not rows:
        return ""
    epochs = [row["epoch"] for row in rows]
    ranked = [name for name in rows[0] if name.startswith(("val_ndcg", "val_hr")) and all(name in row for row in rows)]
    charts = [
        line_chart(
            [Line("loss", epochs, [row["loss"] for row in rows])],
            title="Training loss over the epochs",
            x_label="epoch",
            y_label="training loss",
            y_from_zero=False,
        )
    ]
    if ranked:
        charts.append(
            line_chart(
                [Line(name.removeprefix("val_"), epochs, [row[name] for row in rows]) for name in ranked[:4]],
                title="Validation metrics over the epochs",
                x_label="epoch",
                y_label="on valid",
            )
        )
    return f'<div class="charts">{"".join(charts)}</div>'


def _popularity_curve(exposures: Mapping[str, np.ndarray], spec: DatasetSpec) -> str:
    counts = np.asarray(spec.item_counts, np.float64)
    # Points close together on the logarithmic axis; the last one is the whole catalogue.
    places = np.unique(np.geomspace(1, len(counts), _CURVE_POINTS).round().astype(int))
    curves = {"train interactions": counts, **exposures}
    lines = [
        Line(name, places.tolist(), (np.cumsum(count)[places - 1] / count.sum()).tolist())
        for name, count in curves.items()
        if count.sum()
    ]
    if len(lines) < 2:
        return ""
    chart = line_chart(
        lines,
        title="Share of recommendations that the most popular items take, beside their share of train interactions",
        x_label="items, most popular first (logarithmic)",
        y_label="cumulative share",
        log_x=True,
        percent=True,
    )
    note = (
        "How much of all recommended places the n most popular items take. A curve above that of the train "
        "interactions favours popular items more than the users do."
    )
    return f'{chart}<p class="note">{note}</p>'


def _groups(result: Mapping[str, Any], headline: list[str]) -> str:
    tables = "".join(
        html_table(
            [title, "targets", *headline],
            [
                [name, f"{group['targets']:,}", *(f"{group[metric]:.4f}" for metric in headline)]
                for name, group in groups.items()
            ],
        )
        for title, groups in result["groups"].items()
    )
    starts = ", ".join(f"{name} from {start}" for name, start in HISTORY_GROUPS.items())
    shares = ", ".join(f"{name} to {share:.0%}" for name, share in POPULARITY_GROUPS.items())
    note = (
        f"history: earlier interactions of the user ({starts}). popularity: the target's place in the cumulative train "
        f"interactions, most popular first ({shares}; unknown has no train rows and is a miss)."
    )
    return f'<div class="charts">{tables}</div><p class="note">{note}</p>'


def _facts(result: Mapping[str, Any], spec: DatasetSpec, run: RunDirectory, command: str | None) -> str:
    protocol, training = result["protocol"], run.result()
    facts = {
        "command": command,
        "candidates": protocol["candidates"],
        "seen items": "left out of the ranking" if protocol["filter_seen"] else "kept in the ranking",
        "ties": protocol["ties"],
        "intervals": protocol["intervals"],
        "dataset": f"{spec.users:,} users, {spec.items:,} items, {spec.interactions:,} interactions",
        "split": f"{protocol['split']}, {protocol['part']}, hash {protocol['split_hash']}",
        "parameters": f"{training['parameters']:,}" if "parameters" in training else None,
        "training": f"{training['seconds']:,.0f} s, {training['epochs']:g} epochs" if "seconds" in training else None,
        "refit": f"{training['refit_seconds']:,.0f} s on train + valid" if training.get("refit_seconds") else None,
        "evaluation": f"{result['seconds']:g} s",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "hardware": ", ".join(f"{name} {value}" for name, value in hardware().items() if value),
    }
    entries = (f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{''.join(entries)}</dl>"

"""The result card of a run: its figures on test with everything needed to judge and repeat them, as JSON and Markdown.

RUN/result_card.json, RUN/result_card.md
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import EvaluationError
from tfrec_zoo.evaluation.provenance import hardware, versions
from tfrec_zoo.runs.run_directory import RunDirectory

CARD = "result_card.json"
_FROM_RESULT = (
    "model",
    "metrics",
    "intervals",
    "baselines",
    "baseline_intervals",
    "groups",
    "users",
    "targets",
    "items",
)


def result_card(
    result: Mapping[str, Any], run: RunDirectory, spec: DatasetSpec, parameters: int, command: str | None
) -> dict[str, Any]:
    """Joins an evaluation with where it comes from.

    Args:
        result: What `evaluate_run` returns.
        run: The run.
        spec: The dataset.
        parameters: Weights of the model.
        command: The command line, where there was one.
    """
    training, config = run.result(), run.config().to_dict()
    return {
        **{name: result[name] for name in _FROM_RESULT},
        "protocol": result["protocol"],
        "command": command,
        "seed": config["seed"],
        "config": config,
        "dataset": {
            "path": str(spec.directory.resolve()),
            "split": spec.split.protocol,
            "split_hash": spec.split.hash,
            "vocabulary_hash": spec.vocabulary_hash("item"),
            "users": spec.users,
            "items": spec.items,
            "interactions": spec.interactions,
        },
        "parameters": parameters,
        "seconds": {
            "train": training.get("seconds"),
            "refit": training.get("refit_seconds"),
            "evaluate": result["seconds"],
        },
        "versions": versions(),
        "hardware": hardware(),
    }


def write_card(card: Mapping[str, Any], run: RunDirectory) -> None:
    """Writes both files, each whole or not at all.

    Raises:
        EvaluationError: The run directory cannot be written.
    """
    texts = {CARD: json.dumps(card, indent=1) + "\n", "result_card.md": to_markdown(card)}
    try:
        for name, text in texts.items():
            write_whole(run.path / name, text)
    except OSError as error:
        raise EvaluationError(
            f"the result card cannot be written to {run.path}: {error}. Evaluate without it: --no-card."
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Replaces a file at once, so that a reader never sees half of it."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def to_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page."""
    protocol, dataset = card["protocol"], card["dataset"]
    names = [card["model"], *card["baselines"]]
    columns = [card["metrics"], *card["baselines"].values()]
    ends = [card["intervals"], *card["baseline_intervals"].values()]
    lines = [
        f"# {card['model']} on {Path(dataset['path']).name}",
        "",
        f"{card['users']:,} users, {protocol['candidates']} of {card['items']:,} items, {protocol['split']} "
        f"{protocol['part']}, {seen_items(protocol)}, ties {protocol['ties']}. In brackets: {protocol['intervals']}. "
        "With one target a user, recall@k is hr@k and map@k is mrr@k.",
        "",
        "| metric | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for metric in card["metrics"]:
        if metric.startswith(("recall@", "map@")):
            continue
        cells = [with_interval(column[metric], end.get(metric)) for column, end in zip(columns, ends, strict=True)]
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    facts = {
        "command": f"`{card['command']}`" if card["command"] else "called from Python",
        "dataset": f"{dataset['users']:,} users, {dataset['items']:,} items, {dataset['interactions']:,} interactions",
        "split hash": dataset["split_hash"],
        "seed": card["seed"],
        "parameters": f"{card['parameters']:,}",
        "seconds": ", ".join(f"{name} {value:g}" for name, value in card["seconds"].items() if value is not None),
        "versions": ", ".join(f"{name} {version}" for name, version in card["versions"].items()),
        "hardware": ", ".join(f"{name} {value}" for name, value in card["hardware"].items() if value),
    }
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items()), "", "## Configuration", "", "```yaml"]
    return "\n".join([*lines, yaml.safe_dump(card["config"], sort_keys=False).rstrip(), "```", ""])


def with_interval(value: float, ends: list[float] | None) -> str:
    """A figure as text, with its interval where it has one."""
    return f"{value:,.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")


def headline_metrics(metrics: Mapping[str, float]) -> list[str]:
    """NDCG and hit rate at 10, or at the first cut-off where 10 is none, and MRR."""
    cut_offs = [name.partition("@")[2] for name in metrics if name.startswith("ndcg@")]
    k = "10" if "10" in cut_offs else cut_offs[0]
    return [f"ndcg@{k}", f"hr@{k}", "mrr"]


def describe(report: Mapping[str, Any]) -> str:
    """The protocol in a line."""
    protocol = report["protocol"]
    candidates = protocol["candidates"]
    if not candidates.startswith("sampled"):
        candidates += f" of {report['items']:,} items"
    return f"{report['users']:,} users, {candidates}, {protocol['split']} {protocol['part']}, {seen_items(protocol)}"


def seen_items(protocol: Mapping[str, Any]) -> str:
    """What the protocol does with seen items, in words."""
    return "seen items filtered" if protocol["filter_seen"] else "seen items not filtered"

"""`tfrec evaluate` as a function: a run and the baselines on one split, as one table."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.baselines import Markov, Popularity
from tfrec_zoo.evaluation.evaluator import Evaluator, Scorer
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.tables import print_table


def evaluate_run(
    workdir: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str = "test",
    filter_seen: bool = False,
    ks: Sequence[int] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Ranks every held-out target of a split by the run's model, by popularity and by last-item Markov.

    Args:
        workdir: The run directory.
        data: The dataset that it was trained on.
        split: "test" or "valid".
        filter_seen: Leave each user's earlier items out of the ranking.
        ks: Cut-offs; default: 1, 5, 10, 20, 50, as far as the catalogue reaches.
        quiet: No progress.

    Returns:
        The keys of `tfrec evaluate --json`: metrics, baselines, users, items, protocol, seconds.

    Raises:
        ConfigError: No run in `workdir`, or a cut-off out of range.
        DataError: The dataset is damaged, another one, or has no held-out users.
        EvaluationError: The scores are not finite.
    """
    start = time.perf_counter()
    run = RunDirectory.open(workdir)
    spec = DatasetSpec.read(data)
    model = run.load_model(spec)
    scorers: dict[str, Scorer] = {run.config().model: model, "popularity": Popularity(spec), "markov": Markov(spec)}
    results: dict[str, Mapping[str, float]] = {}
    console = Console(stderr=True, quiet=quiet)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        for name, scorer in scorers.items():
            evaluator = Evaluator(scorer, spec, split=split, filter_seen=filter_seen, ks=ks)
            task = progress.add_task(name, total=evaluator.users)
            results[name] = evaluator(lambda users, task=task: progress.advance(task, users)).metrics  # type: ignore[misc]
    return {
        "model": run.config().model,
        "metrics": results.pop(run.config().model),
        "baselines": results,
        "users": evaluator.users,
        "items": spec.catalog_size,
        "protocol": {
            "split": spec.split.protocol,
            "split_hash": spec.split.hash,
            "part": split,
            "candidates": "whole catalogue",
            "filter_seen": filter_seen,
            "ties": "half",
        },
        "seconds": round(time.perf_counter() - start, 2),
    }


def print_report(report: Mapping[str, Any]) -> None:
    """Prints an evaluation as a table on stdout, the model first."""
    protocol = report["protocol"]
    seen = "seen items filtered" if protocol["filter_seen"] else "seen items not filtered"
    shown = [name for name in report["metrics"] if name == "mrr" or name.startswith(("ndcg", "hr"))]
    rows = {report["model"]: report["metrics"]} | dict(report["baselines"])
    print_table(
        ["", *shown],
        [[name, *(metrics[metric] for metric in shown)] for name, metrics in rows.items()],
        title=f"{report['users']:,} users, whole catalogue of {report['items']:,} items, {protocol['split']} "
        f"{protocol['part']}, {seen}",
    )

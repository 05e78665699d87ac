"""`tfrec compare` as a function: two runs on the same users, user by user."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.evaluation.provenance import check_same_split
from tfrec_zoo.evaluation.result_card import CARD, seen_items
from tfrec_zoo.metrics.bootstrap import PAIRED_RESAMPLES, paired_difference
from tfrec_zoo.metrics.ranking import hit_rate, ndcg, reciprocal_rank
from tfrec_zoo.models.recommender import SCORES_CATALOGUE
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.tables import print_table

_METRICS = {"ndcg": ndcg, "hr": hit_rate, "recall": hit_rate, "mrr": reciprocal_rank, "map": reciprocal_rank}


def compare_runs(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    metric: str = "ndcg@10",
    split: str = "test",
    filter_seen: bool = False,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Compares two runs on the same held-out users by a paired bootstrap of the difference.

    Args:
        first: A run directory.
        second: Another.
        data: The dataset that both were trained on; default: the one that the first run's result card names.
        metric: ndcg@K, hr@K, recall@K, mrr@K, map@K or mrr.
        split: "test" or "valid".
        filter_seen: Leave each user's earlier items out of the ranking.
        seed: Of the bootstrap.
        quiet: No progress.

    Returns:
        "metric", "first" and "second" (run, model, value), "difference" (first - second), "interval" [low, high],
        "p_value" (two-sided), "wins", "ties", "losses" (of the first, by user), "users", "targets", "protocol",
        "seconds".

    Raises:
        ConfigError: Not a run, no such metric, a model that scores no catalogue, or no dataset is known.
        DataError: The runs were trained on different splits, or not on this dataset's.
        EvaluationError: The scores of a run are not finite.
    """
    start = time.perf_counter()
    name, k = _parse_metric(metric)
    runs = [RunDirectory.open(path) for path in (first, second)]
    hashes = [run.result().get("split_hash") for run in runs]
    if None not in hashes and hashes[0] != hashes[1]:
        raise DataError(
            f"{first} and {second} were trained on different splits ({hashes[0]} and {hashes[1]}): their figures are "
            "not about the same targets. Train both on one dataset."
        )
    spec = DatasetSpec.read(data if data is not None else _dataset_of(runs[0]))
    for run in runs:
        check_same_split(run, spec)
    values, sides = [], []
    console = Console(stderr=True, quiet=quiet)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        for run in runs:
            model = run.load_model(spec)
            if SCORES_CATALOGUE not in model.capabilities:
                raise ConfigError(f"{run.path} holds a {model.name_in_zoo}, which gives no ranks to compare by user.")
            evaluator = Evaluator(model, spec, split=split, filter_seen=filter_seen, ks=(k,) if k else (1,))
            task = progress.add_task(str(run.path), total=evaluator.targets)
            done = evaluator(lambda done, task=task: progress.advance(task, done))  # type: ignore[misc]
            ranks, users = done.ranks, done.users
            values.append(_METRICS[name](ranks, k) if k else reciprocal_rank(ranks))
            sides.append({"run": str(run.path), "model": run.config().model, "value": float(values[-1].mean())})
    paired = dataclasses.asdict(paired_difference(values[0], values[1], users, seed=seed))
    return {
        "metric": metric,
        "first": sides[0],
        "second": sides[1],
        "interval": [paired.pop("low"), paired.pop("high")],
        **paired,
        "users": int(users.max()) + 1,
        "targets": evaluator.targets,
        "protocol": {
            "split": spec.split.protocol,
            "split_hash": spec.split.hash,
            "part": split,
            "candidates": "whole catalogue",
            "filter_seen": filter_seen,
            "ties": "half",
            "intervals": f"95% paired percentile bootstrap by user, {PAIRED_RESAMPLES:,} resamples, seed {seed}",
        },
        "seconds": round(time.perf_counter() - start, 2),
    }


def print_comparison(result: Mapping[str, Any]) -> None:
    """Prints a comparison on stdout: both values, the difference, and one sentence that says what follows."""
    first, second, protocol = result["first"], result["second"], result["protocol"]
    low, high = result["interval"]
    print_table(
        ["run", "model", result["metric"]],
        [[side["run"], side["model"], side["value"]] for side in (first, second)],
        title=f"{result['users']:,} users, {protocol['candidates']}, {protocol['split']} {protocol['part']}, "
        f"{seen_items(protocol)}",
    )
    verdict = "the second is better" if high < 0 else "the first is better" if low > 0 else "no clear difference"
    print(
        f"difference {result['difference']:+.4f} [{low:+.4f}, {high:+.4f}] (95%), p = {result['p_value']:.4f}: "
        f"{verdict}"
    )
    print(f"by user: the first wins {result['wins']:,}, ties {result['ties']:,}, loses {result['losses']:,}")


def _parse_metric(metric: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\w+)@(\d+)", metric)
    if metric == "mrr":
        return "mrr", None
    if not match or match[1] not in _METRICS:
        raise ConfigError(f"there is no metric {metric!r}; choose mrr or one of {', '.join(_METRICS)} with @K.")
    if not int(match[2]):
        raise ConfigError(f"k = 0 is out of range in {metric!r}: k is from 1 to the number of items.")
    return match[1], int(match[2])


def _dataset_of(run: RunDirectory) -> Path:
    card = run.path / CARD
    try:
        return Path(json.loads(card.read_text(encoding="utf-8"))["dataset"]["path"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{run.path} has no result card that names its dataset. Say which with --data, or run `tfrec evaluate`."
        ) from None

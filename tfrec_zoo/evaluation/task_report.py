"""`tfrec evaluate` of a fine-tuned task: its figures on a split beside the most frequent targets."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.result_card import with_interval
from tfrec_zoo.evaluation.task_evaluator import (
    TargetPopularity,
    TargetScorer,
    TaskEvaluation,
    TaskEvaluator,
    target_counts,
)
from tfrec_zoo.metrics.bootstrap import RESAMPLES, intervals
from tfrec_zoo.metrics.ranking import with_equal_names
from tfrec_zoo.models.transfer_task import NEXT_ITEM
from tfrec_zoo.runs.task_run import TaskRun
from tfrec_zoo.tables import print_table


def evaluate_task_run(
    workdir: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str = "test",
    filter_seen: bool = False,
    ks: Sequence[int] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Ranks every held-out target of the target domain, or tells every held-out user's class.

    Args:
        workdir: The run directory that `finetune` made.
        data: The dataset that it was fine-tuned on.
        split: "test" or "valid".
        filter_seen: Leave what the user had of the target domain out of the ranking.
        ks: Cut-offs of the ranking; default: 1, 5, 10, 20, 50.
        seed: Of the bootstrap.

    Returns:
        The keys of `tfrec evaluate --json`; of a profile, `metrics` has accuracy, logloss and auc, the mean over the
        classes of one against the rest, and `left_out` counts users without a known class.

    Raises:
        ConfigError: No fine-tuned run in `workdir`.
        DataError: The dataset is another one, or has no such split.
        EvaluationError: The scores are not finite.
    """
    start = time.perf_counter()
    run, spec = TaskRun.open(workdir), DatasetSpec.read(data)
    config = run.finetune_config()
    task = run.load_task(spec)
    baseline = "popularity" if config.task.kind == NEXT_ITEM else "majority"
    scorers: dict[str, TargetScorer] = {config.name: task, baseline: TargetPopularity(target_counts(spec, config.task))}
    reached: dict[str, TaskEvaluation] = {}
    for name, scorer in scorers.items():
        evaluator = TaskEvaluator(
            scorer, spec, config.task, split=split, filter_seen=filter_seen, ks=tuple(ks or (1, 5, 10, 20, 50))
        )
        reached[name] = evaluator()
    ends = {name: _intervals(evaluation, seed) for name, evaluation in reached.items()}
    own = reached[config.name]
    assert spec.target is not None or config.task.kind != NEXT_ITEM
    return {
        "model": config.model,
        "task": config.name,
        "mode": config.task.mode,
        "metrics": dict(own.metrics),
        "intervals": ends[config.name],
        "baselines": {baseline: dict(reached[baseline].metrics)},
        "baseline_intervals": {baseline: ends[baseline]},
        "users": int(own.users.max()) + 1,
        "targets": len(own.users),
        "items": task.targets,
        "left_out": own.left_out,
        "protocol": {
            "view": task.view,
            "split": spec.target.split.protocol if spec.target and config.task.kind == NEXT_ITEM else "user",
            "part": split,
            "candidates": "whole target domain" if config.task.kind == NEXT_ITEM else "all classes",
            "filter_seen": filter_seen,
            "ties": "half",
            "intervals": f"95% percentile bootstrap by user, {RESAMPLES:,} resamples, seed {seed}",
        },
        "seconds": round(time.perf_counter() - start, 2),
    }


def _intervals(evaluation: TaskEvaluation, seed: int) -> dict[str, list[float]]:
    values = np.stack(list(evaluation.each.values()), axis=1)
    users = np.unique(evaluation.users, return_inverse=True)[1]
    low, high = intervals(values, users, seed=seed)
    return with_equal_names({name: [float(a), float(b)] for name, a, b in zip(evaluation.each, low, high, strict=True)})


def print_task_report(report: Mapping[str, Any]) -> None:
    """Prints an evaluation of a task as a table on stdout."""
    rows = {f"{report['task']} ({report['mode']})": report["metrics"], **report["baselines"]}
    ends = [report["intervals"], *report["baseline_intervals"].values()]
    shown = [name for name in report["metrics"] if name in ("ndcg@10", "hr@10", "mrr", "accuracy", "auc", "logloss")]
    shown = shown or list(report["metrics"])[:3]
    protocol = report["protocol"]
    print_table(
        ["", *shown],
        [
            [name, *(with_interval(figures[metric], end.get(metric)) for metric in shown)]
            for (name, figures), end in zip(rows.items(), ends, strict=True)
        ],
        title=f"{report['users']:,} users, {protocol['candidates']} ({report['items']:,}), {protocol['part']}, "
        f"split by {protocol['split']}; 95% intervals",
    )
    if report["left_out"]:
        print(f"{report['left_out']:,} users without a class known from train were left out")

"""`tfrec evaluate` on any run: by a ranking of the catalogue, by the task it was fine-tuned for, or by labels."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.evaluation.pointwise_report import evaluate_pointwise_run, learns_labels, print_pointwise_report
from tfrec_zoo.evaluation.report import evaluate_run, print_report
from tfrec_zoo.evaluation.task_report import evaluate_task_run, print_task_report
from tfrec_zoo.runs.task_run import TaskRun

_OF_RANKINGS = ("sampled", "report", "groups", "diverse", "continuations")


class Evaluated(NamedTuple):
    """What an evaluation found.

    Attributes:
        report: What `tfrec evaluate --json` writes.
        show: Prints it as tables on stdout.
    """

    report: dict[str, Any]
    show: Callable[[], None]


def evaluate(
    workdir: str | os.PathLike[str], data: str | os.PathLike[str], *, groups: bool = False, **options: Any
) -> Evaluated:
    """Evaluates a run by what its model learned.

    Args:
        workdir: The run directory, of `train` or of `finetune`.
        data: The dataset that it was trained on.
        groups: Also show the metrics of a ranking by user and item group.
        options: Of `evaluate_run`. Those of rankings alone are refused for other runs, which take split and seed, and
            tasks also filter_seen and ks.

    Returns:
        The report, and how to show it.

    Raises:
        ConfigError: No run in `workdir`, or an option that such a run is evaluated without.
        DataError: The dataset is damaged, another one, or has nothing held out.
        EvaluationError: The scores are not finite, or the card or the page cannot be written.
    """

    def those(*names: str) -> dict[str, Any]:
        return {name: options[name] for name in names if name in options}

    def refuse_ranking(what: str) -> None:
        for name in _OF_RANKINGS:
            if {**options, "groups": groups}.get(name):
                raise ConfigError(f"--{name}: {what} is evaluated without; leave it out.")

    if TaskRun.is_one(workdir):
        refuse_ranking("a fine-tuned task")
        report = evaluate_task_run(workdir, data, **those("split", "filter_seen", "ks", "seed"))
        return Evaluated(report, functools.partial(print_task_report, report))
    if learns_labels(workdir):
        refuse_ranking("a model of labels")
        report = evaluate_pointwise_run(workdir, data, **those("split", "seed"))
        return Evaluated(report, functools.partial(print_pointwise_report, report))
    report = evaluate_run(workdir, data, **options)
    return Evaluated(report, functools.partial(print_report, report, groups=groups))

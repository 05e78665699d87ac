"""`tfrec evaluate` as a function: a run and the baselines on one split, as tables, a card and a page."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.evaluation.baselines import Markov, Popularity
from tfrec_zoo.evaluation.catalogue_matching import CatalogueMatcher, OnHistories, user_batches
from tfrec_zoo.evaluation.continuations import ContinuationScorer
from tfrec_zoo.evaluation.evaluator import Evaluator, Scorer
from tfrec_zoo.evaluation.figures import LIST_LENGTH, LIST_METRICS, Figures, Figuring
from tfrec_zoo.evaluation.html_report import write_page
from tfrec_zoo.evaluation.provenance import check_same_split
from tfrec_zoo.evaluation.result_card import describe, headline_metrics, result_card, with_interval, write_card
from tfrec_zoo.evaluation.sampled import Sampling
from tfrec_zoo.metrics.bootstrap import RESAMPLES
from tfrec_zoo.models.diversified import DiversifiedScorer
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.recommender import DIVERSIFIES
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.tables import print_table

_DIVERSE_LISTS = 3
"""Diversified lists hold so many times the items that are reported: seen ones are left out of them afterwards."""


def evaluate_run(
    workdir: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str = "test",
    filter_seen: bool = False,
    ks: Sequence[int] | None = None,
    sampled: str | None = None,
    diverse: bool = False,
    continuations: str | None = None,
    seed: int = 0,
    card: bool = True,
    report: str | os.PathLike[str] | None = None,
    command: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Ranks every held-out target of a split by the run's model, by popularity and by last-item Markov.

    On test, over the whole catalogue, the figures are also left in the run as RUN/result_card.json and .md.

    Args:
        workdir: The run directory.
        data: The dataset that it was trained on.
        split: "test" or "valid".
        filter_seen: Leave each user's earlier items out of the ranking.
        ks: Cut-offs; default: 1, 5, 10, 20, 50, as far as the candidates reach.
        sampled: "uniform:100" or "popularity:100": rank the target among drawn items, to compare with a paper.
        diverse: Also rank by parts of each history, as the signature `recommend_diverse` does.
        continuations: "50:10" or "50:10:0.8:0.9": also rank by 50 continuations of 10 items each, of temperature 0.8
            and from the nucleus of 0.9, as the signature `generate_filtered` does; without repeats where `filter_seen`.
        seed: Of the bootstrap and of sampled candidates.
        card: Write the result card.
        report: Also write one self-contained HTML page here.
        command: Command line to note on the card and the page.
        quiet: No progress.

    Returns:
        The keys of `tfrec evaluate --json`: metrics, intervals, baselines, baseline_intervals, groups, users, targets,
        items, protocol, seconds.

    Raises:
        ConfigError: No run in `workdir`, a cut-off out of range, or a model without diversified prediction or
            continuations.
        DataError: The dataset is damaged, another one, or has no held-out users.
        EvaluationError: The scores are not finite, or the card or the page cannot be written.
    """
    start = time.perf_counter()
    run = RunDirectory.open(workdir)
    spec = DatasetSpec.read(data)
    check_same_split(run, spec)
    sampling = Sampling.parse(sampled, seed) if sampled else None
    model, name = run.load_model(spec), run.config().model
    scorers: dict[str, Scorer] = {name: model, "popularity": Popularity(spec), "markov": Markov(spec)}
    if diverse:
        if DIVERSIFIES not in model.capabilities:
            raise ConfigError(f"{name} has no diversified prediction; leave --diverse out.")
        counts = np.maximum(np.asarray(spec.item_counts, np.float32), 1.0)
        wanted = min(_DIVERSE_LISTS * LIST_LENGTH, spec.catalog_size)
        scorers["diversified"] = DiversifiedScorer(model.score, np.log(counts / counts.sum()), wanted)
    if continuations:
        scorers["continuations"] = ContinuationScorer.parse(continuations, model, no_repeats=filter_seen)
    batches = None
    if isinstance(model, FeatureRecommender):
        scorers = {each: OnHistories(scorer) for each, scorer in scorers.items()} | {
            name: CatalogueMatcher(model, spec)
        }
        batches = user_batches(model, spec, split)
    figures: dict[str, Figures] = {}
    figuring: Figuring | None = None
    console = Console(stderr=True, quiet=quiet)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        for scorer_name, scorer in scorers.items():
            evaluator = Evaluator(
                scorer,
                spec,
                split=split,
                filter_seen=filter_seen,
                ks=ks,
                # Lists are recommended from the whole catalogue, so a sampled protocol has none.
                list_length=0 if sampling else LIST_LENGTH,
                sampled=sampling,
                batches=batches,
            )
            figuring = figuring or Figuring(spec, evaluator.ks, seed)
            task = progress.add_task(scorer_name, total=evaluator.targets)
            figures[scorer_name] = figuring(evaluator(lambda done, task=task: progress.advance(task, done)))  # type: ignore[misc]
    exposures = {scorer_name: reached.exposure for scorer_name, reached in figures.items()}
    own = figures.pop(name)
    result = {
        "model": name,
        "metrics": own.metrics,
        "intervals": own.intervals,
        "baselines": {baseline: reached.metrics for baseline, reached in figures.items()},
        "baseline_intervals": {baseline: reached.intervals for baseline, reached in figures.items()},
        "groups": own.groups,
        "users": own.users,
        "targets": evaluator.targets,
        "items": spec.catalog_size,
        "protocol": {
            "split": spec.split.protocol,
            "split_hash": spec.split.hash,
            "part": split,
            "candidates": sampling.describe() if sampling else "whole catalogue",
            "filter_seen": filter_seen,
            "ties": "half",
            "intervals": f"95% percentile bootstrap by user, {RESAMPLES:,} resamples, seed {seed}",
        },
        "seconds": round(time.perf_counter() - start, 2),
    }
    if card and split == "test" and not sampling:
        write_card(result_card(result, run, spec, model.count_params(), command), run)
    if report:
        write_page(report, result, exposures, run, spec, command)
    return result


def print_report(report: Mapping[str, Any], groups: bool = False) -> None:
    """Prints an evaluation as tables on stdout, the model first: headline metrics, other cut-offs, lists.

    Args:
        report: What `evaluate_run` returns.
        groups: Also print the model's metrics by user and item group.
    """
    rows = {report["model"]: report["metrics"], **report["baselines"]}
    ends = {report["model"]: report["intervals"], **report["baseline_intervals"]}
    accuracy = [name for name in report["metrics"] if name.startswith(("ndcg", "hr"))]
    headline = headline_metrics(report["metrics"])
    print_table(
        ["", *headline],
        [[name, *(with_interval(rows[name][metric], ends[name][metric]) for metric in headline)] for name in rows],
        title=describe(report) + "; 95% intervals",
    )
    others = [name for name in accuracy if name not in headline]
    lists = [name for name in report["metrics"] if name.startswith(tuple(f"{metric}@" for metric in LIST_METRICS))]
    for shown, title in ((others, "other cut-offs"), (lists, "beside accuracy, of the recommended lists")):
        if shown:
            print_table(["", *shown], [[name, *(rows[name][metric] for metric in shown)] for name in rows], title=title)
    if groups:
        for title, members in report["groups"].items():
            print_table(
                [title, "targets", *headline],
                [[name, group["targets"], *(group[metric] for metric in headline)] for name, group in members.items()],
                title=f"{report['model']} by {title}",
            )

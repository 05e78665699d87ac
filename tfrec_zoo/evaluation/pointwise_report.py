"""`tfrec evaluate` of a model of labels: AUC, AUC within users, log-loss, calibration, beside what means alone say."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluation, PointwiseEvaluator, PointwiseScorer
from tfrec_zoo.evaluation.pointwise_baselines import baselines
from tfrec_zoo.evaluation.provenance import check_same_split
from tfrec_zoo.evaluation.result_card import with_interval
from tfrec_zoo.metrics.binary import ResampledAUC, log_losses
from tfrec_zoo.metrics.bootstrap import RESAMPLES, statistics
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.tables import print_table


def learns_labels(workdir: str | os.PathLike[str]) -> bool:
    """Whether a run's model learns labels, and is not judged by a ranking.

    Raises:
        ConfigError: No run in `workdir`.
    """
    config = RunDirectory.open(workdir).config()
    of_features = issubclass(get_model(config.model), FeatureRecommender)
    return of_features and config.network.get("objective", "pointwise") == "pointwise"


def evaluate_pointwise_run(
    workdir: str | os.PathLike[str], data: str | os.PathLike[str], *, split: str = "test", seed: int = 0
) -> dict[str, Any]:
    """Foretells the label of every row of a split.

    Args:
        workdir: The run directory.
        data: The dataset that it was trained on.
        split: "test" or "valid".
        seed: Of the bootstrap.

    Returns:
        The keys of `tfrec evaluate --json`; `metrics` has auc, gauc, logloss, calibration (mean probability / mean
        label) and ece, `intervals` those of auc and logloss.

    Raises:
        ConfigError: No run in `workdir`.
        DataError: The dataset is another one, or the split has no rows.
        EvaluationError: The scores are not finite.
    """
    start = time.perf_counter()
    run, spec = RunDirectory.open(workdir), DatasetSpec.read(data)
    check_same_split(run, spec)
    model = run.load_model(spec)
    assert isinstance(model, FeatureRecommender)
    scorers: dict[str, PointwiseScorer] = {run.config().model: model, **baselines(spec)}
    reached = {name: PointwiseEvaluator(scorer, spec, split=split)() for name, scorer in scorers.items()}
    ends = {name: intervals_by_user(evaluation, seed) for name, evaluation in reached.items()}
    own, *others = scorers
    return {
        "model": own,
        "metrics": dict(reached[own].metrics),
        "intervals": ends[own],
        "baselines": {name: dict(reached[name].metrics) for name in others},
        "baseline_intervals": {name: ends[name] for name in others},
        "users": int(reached[own].users.max()) + 1,
        "rows": len(reached[own].labels),
        "positives": int(reached[own].labels.sum()),
        "items": spec.catalog_size,
        "protocol": {
            "view": "interactions",
            "split": spec.split.protocol,
            "split_hash": spec.split.hash,
            "part": split,
            "label": spec.options.get("label"),
            "negatives": spec.options.get("negatives"),
            "intervals": f"95% percentile bootstrap by user, {RESAMPLES:,} resamples, seed {seed}",
        },
        "seconds": round(time.perf_counter() - start, 2),
    }


def intervals_by_user(evaluation: PointwiseEvaluation, seed: int = 0) -> dict[str, list[float]]:
    """95% intervals of AUC and log-loss, by resampling users with all of their rows."""
    resampled = ResampledAUC(evaluation.logits, evaluation.labels, evaluation.users)
    losses = np.bincount(evaluation.users, log_losses(evaluation.logits, evaluation.labels))
    rows = np.bincount(evaluation.users)

    def of_resample(times: np.ndarray) -> np.ndarray:
        return np.array([resampled(times), (times * losses).sum() / (times * rows).sum()])

    drawn = statistics(of_resample, len(rows), seed=seed)
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return {name: [float(a), float(b)] for name, a, b in zip(("auc", "logloss"), low, high, strict=True)}


def print_pointwise_report(report: Mapping[str, Any]) -> None:
    """Prints an evaluation of labels as a table on stdout."""
    rows = {report["model"]: report["metrics"], **report["baselines"]}
    ends = {report["model"]: report["intervals"], **report["baseline_intervals"]}
    metrics, protocol = list(report["metrics"]), report["protocol"]
    print_table(
        ["", *metrics],
        [[name, *(with_interval(rows[name][metric], ends[name].get(metric)) for metric in metrics)] for name in rows],
        title=f"{report['rows']:,} rows of {report['users']:,} users, {report['positives'] / report['rows']:.0%} with "
        f"label 1, {protocol['part']}, split {protocol['split']}; 95% intervals",
    )

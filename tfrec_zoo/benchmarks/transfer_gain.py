"""`tfrec bench transfer`: what a pre-trained backbone is worth to users of another domain, and what patches lose of it.

From scratch, head alone, everything, serial and parallel patches, and popularity, on the same users; every method tries
the same learning rates, the best on valid counts.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrec_zoo.benchmarks.progress import told
from tfrec_zoo.data.synthetic_domains import synthesize_domains
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.task_evaluator import TargetPopularity, TaskEvaluation, TaskEvaluator, target_counts
from tfrec_zoo.metrics.bootstrap import PAIRED_RESAMPLES
from tfrec_zoo.models.peterrec import PeterRec
from tfrec_zoo.models.transfer_task import NEXT_ITEM, TaskConfig, TransferTask
from tfrec_zoo.runs.finetune_config import FinetuneTraining
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.finetune import BEST, train_task
from tfrec_zoo.training.train import train

NETWORK = {"dim": 32, "dilations": [1, 4], "dropout": 0.1}
METHODS: dict[str, dict[str, Any]] = {
    "from scratch": {"mode": "all"},
    "head only": {"mode": "head"},
    "fine-tune all": {"mode": "all"},
    "patches serial": {"mode": "patches"},
    "patches parallel": {"mode": "patches", "patch": "parallel"},
}


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    rates: Sequence[float] = (1e-3, 4e-3),
    epochs: int = 25,
    pretraining_epochs: int = 20,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Pre-trains, fine-tunes by every method and evaluates on test.

    Args:
        data: A dataset directory with the view transfer or profiles (all labels are tasks); default: 3,000 synthetic
            users of two domains, of whom 900 have 1 to 6 events in the target.
        seeds: Of pre-training and fine-tuning.
        rates: Learning rates that every method tries; the best on valid counts.
        epochs: Of a fine-tuning, at most.
        pretraining_epochs: Of the pre-training.
        quick: One seed and one learning rate.

    Returns:
        One row a task and method: figures are means over the seeds; "/ all" and "/ scratch" are ratios of the main
        figure (NDCG@10, accuracy) to that of those methods, with the 95% interval of a paired bootstrap over users.
    """
    if quick:
        seeds, rates = seeds[:1], rates[-1:]
    with tempfile.TemporaryDirectory() as folder:
        spec = DatasetSpec.read(data if data is not None else _synthetic(Path(folder)))
        rows = []
        reached: dict[str, dict[str, list[TaskEvaluation]]] = {}
        for seed in seeds:
            directory = Path(folder) / f"RUN{seed}"
            settings = {"network": {**NETWORK, "exclude_known": False}, "training": {"epochs": pretraining_epochs}}
            train("peterrec", spec.directory, directory, config=settings, seed=seed, quiet=True)
            told(f"seed {seed}: pre-trained")
            for task in _tasks(spec):
                figures = reached.setdefault(task.label or NEXT_ITEM, {})
                for method, values in METHODS.items():
                    config = TaskConfig.parse({**task.to_dict(), **values})
                    figures.setdefault(method, []).append(_best(spec, directory, method, config, rates, epochs, seed))
                popularity = TaskEvaluator(TargetPopularity(target_counts(spec, task)), spec, task, filter_seen=True)
                figures.setdefault("popularity", []).append(popularity())
        for name, figures in reached.items():
            rows += [_row(name, method, figures, len(seeds)) for method in figures]
    return rows


def _tasks(spec: DatasetSpec) -> list[TaskConfig]:
    tasks = [TaskConfig()] if "transfer" in spec.features else []
    labels = [name for name in spec.features.get("profiles", {}) if name not in ("user", "items", "times")]
    return tasks + [TaskConfig(kind="profile", label=label) for label in labels]


def _best(
    spec: DatasetSpec,
    directory: Path,
    method: str,
    config: TaskConfig,
    rates: Sequence[float],
    epochs: int,
    seed: int,
) -> TaskEvaluation:
    """The test figures of the learning rate that is best on valid."""
    found: list[tuple[float, TaskEvaluation]] = []
    for rate in rates:
        keras.utils.set_random_seed(seed)
        run = RunDirectory.open(directory)
        pretrained = run.load_model(spec)
        base = PeterRec.from_spec(spec, pretrained.config) if method == "from scratch" else pretrained
        assert isinstance(base, PeterRec)
        targets = len(target_counts(spec, config))
        task = TransferTask(base, targets, config)
        training = FinetuneTraining(learning_rate=rate, epochs=epochs, batch_size=64)
        trained = train_task(task, spec, training, seed=seed)
        evaluation = TaskEvaluator(task, spec, config, filter_seen=True, ks=(10,))()
        told(f"seed {seed}, {config.label or NEXT_ITEM}, {method}, rate {rate}: valid {trained['best_value']:.4f}")
        found.append((BEST[config.kind][1] * trained["best_value"], evaluation))
    return max(found, key=lambda pair: pair[0])[1]


def _row(name: str, method: str, figures: dict[str, list[TaskEvaluation]], seeds: int) -> dict[str, Any]:
    own = figures[method]
    main, second = ("ndcg@10", "hr@10") if name == NEXT_ITEM else ("accuracy", "auc")

    def beside(other: str) -> str:
        if method in (other, "popularity"):
            return ""
        ratio, low, high = paired_ratio(_by_user(own, main), _by_user(figures[other], main))
        return f"{ratio:.3f} [{low:.3f}, {high:.3f}]"

    return {
        "task": name,
        "method": method,
        "users": len(np.unique(own[0].users)),
        "seeds": seeds,
        "ndcg@10 / accuracy": round(float(np.mean([each.metrics[main] for each in own])), 4),
        "hr@10 / auc": round(float(np.mean([each.metrics[second] for each in own])), 4),
        "/ all": beside("fine-tune all"),
        "/ scratch": beside("from scratch"),
    }


def _by_user(evaluations: list[TaskEvaluation], metric: str) -> np.ndarray:
    """Sum of a metric over a user's records, mean over the seeds; float64 (users,)."""
    users = np.unique(evaluations[0].users, return_inverse=True)[1]
    return np.mean([np.bincount(users, each.each[metric]) for each in evaluations], axis=0)


def paired_ratio(first: np.ndarray, second: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Ratio of two means over the same users with the 95% percentile interval of a paired bootstrap.

    Args:
        first: float (users,).
        second: float (users,).
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    ratios = np.empty(PAIRED_RESAMPLES)
    for number in range(PAIRED_RESAMPLES):
        drawn = rng.integers(len(first), size=len(first))
        ratios[number] = first[drawn].sum() / max(second[drawn].sum(), 1e-12)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(first.sum() / max(second.sum(), 1e-12)), float(low), float(high)


def _synthetic(folder: Path) -> Path:
    import beam_jobs

    synthesize_domains(folder / "log.csv", users=3000, items=400)
    options = beam_jobs.PrepareOptions(
        input=(str(folder / "log.csv"),),
        target_input=(str(folder / "log-target.csv"),),
        users=str(folder / "log-users.csv"),
        output=str(folder / "DATA"),
        views=("sequences", "transfer", "profiles"),
        profile_labels=("segment",),
        valid_share=0.15,
        test_share=0.4,
        max_length=50,
        drop_repeats=True,
        quiet=True,
    )
    beam_jobs.prepare(options)
    return folder / "DATA"

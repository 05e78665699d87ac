"""`tfrec bench ctr`: liked or not, by two towers and rankers, beside what mean labels alone say.

Ratings of 3 are dropped, those above are liked; the log is split at random and by time. Every model tries a grid of the
same size on one seed, the best on valid counts; IntTower's values stand for it without its parts too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_zoo.benchmarks.progress import told
from tfrec_zoo.data.synthetic import synthesize
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluation, PointwiseEvaluator
from tfrec_zoo.evaluation.pointwise_baselines import baselines
from tfrec_zoo.metrics.binary import ResampledAUC
from tfrec_zoo.metrics.bootstrap import RESAMPLES, statistics
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.train import train

Settings = Mapping[str, Any]

MODELS = ("dssm", "inttower", "ncf", "din", "deepfm")
BESIDE = "dssm"
"""What the others are compared with."""
ABLATIONS: dict[str, Settings] = {
    "inttower without Light-SE": {"network.light_se": False},
    "inttower without FE-Block": {"network.fe_block": False},
    "inttower without CIR": {"network.cir_weight": 0.0},
}
GRID: tuple[Settings, ...] = tuple(
    {"network.units": units, "network.dropout": dropout} for units in ([64, 32], [128, 64]) for dropout in (0.1, 0.3)
)
SETTINGS: Settings = {"training.ema_momentum": 0.98}
"""For all models: the averaged weights that the presets of the towers have, so that no other goes without."""
SPLITS = ("random", "temporal")


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    splits: Sequence[str] = SPLITS,
    seeds: Sequence[int] = (0, 1, 2),
    grid: Sequence[Settings] = GRID,
    settings: Settings | None = None,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Prepares both splits, tunes, trains and evaluates on test.

    Args:
        data: A folder of interactions.csv, users.csv and items.csv as `tfrec movielens` writes them; default: a
            synthetic log of 900 users.
        splits: How the log is split.
        seeds: Of training; the first one tunes.
        grid: What every model tries over its preset: keys of the configuration -> values.
        settings: Values for all models beside the grid's; default: `SETTINGS`.
        quick: One seed, and the presets as they are.

    Returns:
        One row a split and scorer. AUC and log-loss are means over the seeds, "_sd" their standard deviations; "auc -
        dssm" has the 95% interval of a paired bootstrap over users, and RelaImpr is (AUC - 0.5) / (AUC of dssm - 0.5)
        - 1 (Yan et al., "Coupled Group Lasso for Web-Scale CTR Prediction in Display Advertising", ICML 2014).

    Raises:
        DataError: A file is missing.
    """
    settings = SETTINGS if settings is None else settings
    if quick:
        seeds, grid, settings = seeds[:1], ({},), {}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = _synthetic(folder) if data is None else _movielens(Path(data))
        for split in splits:
            bench = _Bench(_prepared(folder / split, split, log), folder, settings)
            chosen, reached = bench.everything(grid, seeds)
            rows += [_row(split, name, chosen.get(name, {}), reached) for name in reached]
    return rows


class _Bench:
    """Trains models on one dataset; every run is dropped once it is evaluated."""

    def __init__(self, spec: DatasetSpec, folder: Path, settings: Settings) -> None:
        self.spec, self._folder, self._settings = spec, folder, settings

    def everything(
        self, grid: Sequence[Settings], seeds: Sequence[int]
    ) -> tuple[dict[str, Settings], dict[str, list[PointwiseEvaluation]]]:
        """The chosen values, and what is reached on test, by scorer: models, ablations, baselines."""
        chosen: dict[str, Settings] = {}
        reached: dict[str, list[PointwiseEvaluation]] = {}
        for model in MODELS:
            chosen[model], reached[model] = self.tuned(model, grid, seeds)
        for name, part in ABLATIONS.items():
            chosen[name] = {**chosen["inttower"], **part}
            reached[name] = [self.trained("inttower", chosen[name], seed)[1] for seed in seeds]
        for name, scorer in baselines(self.spec).items():
            reached[name] = [PointwiseEvaluator(scorer, self.spec)()]
        return chosen, reached

    def tuned(
        self, model: str, grid: Sequence[Settings], seeds: Sequence[int]
    ) -> tuple[Settings, list[PointwiseEvaluation]]:
        """The values that are best on valid with the first seed, and what they reach on test with every seed."""
        tried = [(values, *self.trained(model, values, seeds[0])) for values in grid]
        values, _, first = max(tried, key=lambda each: each[1])
        return values, [first, *(self.trained(model, values, seed)[1] for seed in seeds[1:])]

    def trained(self, model: str, values: Settings, seed: int) -> tuple[float, PointwiseEvaluation]:
        """AUC on valid, and everything on test."""
        assignments = [f"{key}={value}" for key, value in {**self._settings, **values}.items()]
        with tempfile.TemporaryDirectory(dir=self._folder) as workdir:
            result = train(model, self.spec.directory, workdir, assignments=assignments, seed=seed, quiet=True)
            scorer = RunDirectory.open(workdir).load_model(self.spec)
        assert isinstance(scorer, FeatureRecommender)
        valid, tried = result["best_value"], ", ".join(assignments) or "preset"
        told(f"{self.spec.split.protocol}, {model}, {tried}, seed {seed}: valid AUC {valid:.4f}")
        return valid, PointwiseEvaluator(scorer, self.spec)()


def auc_difference(
    first: Sequence[PointwiseEvaluation],
    second: Sequence[PointwiseEvaluation],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float, float]:
    """AUC of one scorer minus that of another, mean over their seeds, with its 95% interval by a paired bootstrap.

    Args:
        first: Evaluations of the one, one a seed of training.
        second: Of the other, on the same rows.
        resamples: Draws of users.
        seed: Of the draws of users.
    """
    sides = [[ResampledAUC(each.logits, each.labels, each.users) for each in side] for side in (first, second)]

    def difference(times: np.ndarray) -> np.ndarray:
        of_first, of_second = ([auc(times) for auc in side] for side in sides)
        return np.array([np.mean(of_first) - np.mean(of_second)])

    users = int(first[0].users.max()) + 1
    low, high = np.nanquantile(statistics(difference, users, resamples=resamples, seed=seed), [0.025, 0.975])
    return float(difference(np.ones(users, np.int64))[0]), float(low), float(high)


def _row(
    split: str, name: str, chosen: Settings, reached: Mapping[str, Sequence[PointwiseEvaluation]]
) -> dict[str, Any]:
    own, other = reached[name], reached[BESIDE]
    row: dict[str, Any] = {"split": split, "model": name, "seeds": len(own)}
    for metric in ("auc", "logloss"):
        values = [each.metrics[metric] for each in own]
        row[metric] = round(float(np.mean(values)), 4)
        row[f"{metric}_sd"] = round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else ""
    beside = relative_improvement = ""
    if name != BESIDE:
        difference, low, high = auc_difference(own, other)
        beside = f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"
        base = np.mean([each.metrics["auc"] for each in other]) - 0.5
        relative_improvement = f"{difference / base:+.1%}"
    row |= {f"auc - {BESIDE}": beside, "relaimpr": relative_improvement}
    return {**row, "chosen on valid": ", ".join(f"{key.partition('.')[2]} {value}" for key, value in chosen.items())}


def _prepared(output: Path, split: str, log: Mapping[str, Any]) -> DatasetSpec:
    import beam_jobs

    options = beam_jobs.PrepareOptions(
        output=str(output),
        split=split,
        test_share=0.2,
        views=("sequences", "interactions", "items"),
        label="rating > 3",
        drop="rating == 3",
        quiet=True,
        **log,
    )
    beam_jobs.prepare(options)
    return DatasetSpec.read(output)


def _movielens(folder: Path) -> dict[str, Any]:
    paths = {name: folder / f"{name}.csv" for name in ("interactions", "users", "items")}
    for path in paths.values():
        if not path.is_file():
            raise DataError(f"{path} is missing: the benchmark 'ctr' reads what `tfrec movielens` writes.")
    return {
        "input": (str(paths["interactions"]),),
        "users": str(paths["users"]),
        "items": str(paths["items"]),
        "features": ("age", "gender", "occupation", "release_year", "class"),
        "numeric": ("age", "release_year"),
        "multi": {"class": " "},
    }


def _synthetic(folder: Path) -> dict[str, Any]:
    synthesize(folder / "log.csv", users=900, items=400, min_length=20, max_length=60)
    return {
        "input": (str(folder / "log.csv"),),
        "users": str(folder / "log-users.csv"),
        "items": str(folder / "log-items.csv"),
        "numeric": ("age", "year", "price"),
    }

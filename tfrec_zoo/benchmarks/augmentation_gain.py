"""`tfrec bench augment`: what fake histories are worth to click predictors, judged on real held-out clicks.

A generator (seqgan) and a gap filler (peterrec that sees both sides) learn from the train part. Three predictors are
then trained on the real rows, on fake ones, and on both, for the same number of steps of the same batch size; the
weights that are best on the real valid rows count. DeepFM is the MLP with a sigmoid, beside products of the fields.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrec_zoo.augmentation.augment import augment
from tfrec_zoo.augmentation.fake_histories import AugmentationOptions
from tfrec_zoo.benchmarks.label_accuracy import auc_difference
from tfrec_zoo.benchmarks.progress import told
from tfrec_zoo.data import interactions, sequences
from tfrec_zoo.data.synthetic import synthesize
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluation, PointwiseEvaluator
from tfrec_zoo.metrics.binary import decisions
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.training.callbacks import LabelValidation
from tfrec_zoo.training.train import train

PREDICTORS: Mapping[str, Mapping[str, Any]] = {"deepfm": {}, "din": {}, "dssm": {"batch_norm": False}}
NETWORK: Mapping[str, Any] = {"dim": 16, "units": (64, 32), "dropout": 0.3, "unknown_rate": 0.1}
"""Of all predictors: small, since the train part is; where users are held out, their ids are unknown."""
REAL, FAKE, BOTH = ARMS = ("real", "fake", "both")
METRICS = ("accuracy", "precision", "recall", "f1", "auc", "logloss")

_BATCH, _GENERATOR_BATCH = 256, 32
_CHECK_STEPS = 50
_RESAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Budget:
    """Steps of training.

    Attributes:
        generator: Of the generator and of the gap filler; the second half of the generator's are the game.
        predictor: Of every predictor, whatever it is trained on.
    """

    generator: int
    predictor: int


FULL, QUICK = Budget(600, 1000), Budget(150, 300)


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    budget: Budget = FULL,
    share: float = 2.0,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Trains generators, writes fake histories, trains predictors and evaluates them on test.

    Args:
        data: A dataset directory with the views sequences, interactions and items; default: 2,400 synthetic users, of
            whom 10% are for training, 10% valid, 80% test, with a negative for every click.
        seeds: Of everything that is trained and written.
        budget: Steps of training.
        share: Fake histories for each real one.
        quick: One seed and short training.

    Returns:
        One row a predictor and what it was trained on: means over the seeds and their standard deviations; "auc -
        real" is the paired difference to the predictor trained on real rows alone, with its 95% interval by a
        bootstrap over users; "by seed" is the same of each seed, since the noise of training is not in the interval.

    Raises:
        DataError: The dataset lacks a view.
    """
    if quick:
        seeds, budget = seeds[:1], QUICK
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = DatasetSpec.read(data if data is not None else _synthetic(folder))
        if interactions.VIEW not in spec.features:
            raise DataError(
                f"{spec.directory} has no view {interactions.VIEW}, whose labels the benchmark 'augment' foretells: "
                "run `tfrec prepare` with --views sequences,interactions,items and --negatives 1."
            )
        reached: dict[tuple[str, str], list[PointwiseEvaluation]] = {}
        sizes: dict[str, int] = {}
        for seed in seeds:
            for arm, dataset in _arms(spec, folder / f"seed{seed}", seed, budget, share).items():
                sizes[arm] = interactions.training_rows(dataset)
                for model in PREDICTORS:
                    evaluation = _predict(model, dataset, seed, budget)
                    told(f"seed {seed}, {model} on {arm}: test AUC {evaluation.metrics['auc']:.4f}")
                    reached.setdefault((model, arm), []).append(evaluation)
        return [_row(model, arm, sizes[arm], reached) for model in PREDICTORS for arm in ARMS]


def _arms(spec: DatasetSpec, folder: Path, seed: int, budget: Budget, share: float) -> dict[str, DatasetSpec]:
    """The datasets to train on; their valid and test are the same."""
    steps_per_epoch = max(1, sequences.training_records(spec) // _GENERATOR_BATCH)
    epochs = math.ceil(budget.generator / steps_per_epoch)
    training = {"batch_size": _GENERATOR_BATCH, "epochs": epochs, "validate_every": epochs}
    networks = {"seqgan": {"adversarial_after": budget.generator // 2}, "peterrec": {"causal": False}}
    for model, network in networks.items():
        config = {"network": network, "training": training}
        result = train(model, spec.directory, folder / model, config=config, seed=seed, quiet=True)
        told(f"seed {seed}: {model} trained, {result['steps']} steps, valid NDCG@10 {result['best_value']:.4f}")
    options = AugmentationOptions(share=share, no_repeats=True, seed=seed)
    written = augment(
        folder / "seqgan",
        spec.directory,
        folder / "BOTH",
        gaps=folder / "peterrec",
        keep_real=True,
        options=options,
        quiet=True,
    )
    told(
        "seed {seed}: {histories:,} fake histories, {rows:,} rows, distinct-2 {distinct_2} (real {real_distinct_2}), "
        "entropy {entropy} (real {real_entropy}) {warnings}".format_map({"seed": seed, **written})
    )
    both = DatasetSpec.read(folder / "BOTH")
    generated = tuple(file for file in both.files if file.split != "train" or "/generated-" in file.path)
    return {REAL: spec, FAKE: dataclasses.replace(both, files=generated), BOTH: both}


def _predict(name: str, spec: DatasetSpec, seed: int, budget: Budget) -> PointwiseEvaluation:
    """Trains a predictor and evaluates it on test."""
    keras.utils.set_random_seed(seed)
    model = get_model(name).from_spec(spec, {**NETWORK, **PREDICTORS[name]})
    assert isinstance(model, FeatureRecommender)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    features = [*model.features, interactions.LABEL]
    batches = interactions.training_batches(spec, _BATCH, model.history_length, features=features, seed=seed)
    checks = budget.predictor // _CHECK_STEPS
    best = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=checks, restore_best_weights=True)
    model.fit(
        batches.map(model.training_inputs).prefetch(4),
        epochs=checks,
        steps_per_epoch=_CHECK_STEPS,
        callbacks=[LabelValidation(spec), best],
        shuffle=False,
        verbose=0,
    )
    return PointwiseEvaluator(model, spec)()


def _row(
    model: str, arm: str, rows: int, reached: Mapping[tuple[str, str], Sequence[PointwiseEvaluation]]
) -> dict[str, Any]:
    own = reached[model, arm]
    row: dict[str, Any] = {"model": model, "trained on": arm, "train rows": rows, "seeds": len(own)}
    figures = [{**each.metrics, **decisions(each.logits, each.labels)} for each in own]
    for metric in METRICS:
        values = [each[metric] for each in figures]
        spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
        row[metric] = f"{np.mean(values):.4f}{spread}"
    row["auc - real"] = row["by seed"] = ""
    if arm != REAL:
        real = reached[model, REAL]
        difference, low, high = auc_difference(own, real, resamples=_RESAMPLES)
        row["auc - real"] = f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"
        pairs = zip(own, real, strict=True)
        row["by seed"] = " ".join(f"{each.metrics['auc'] - other.metrics['auc']:+.4f}" for each, other in pairs)
    return row


def _synthetic(folder: Path) -> Path:
    import beam_jobs

    synthesize(folder / "log.csv", users=2400)
    options = beam_jobs.PrepareOptions(
        input=(str(folder / "log.csv"),),
        output=str(folder / "DATA"),
        users=str(folder / "log-users.csv"),
        items=str(folder / "log-items.csv"),
        numeric=("age", "year", "price"),
        views=("sequences", "interactions", "items"),
        negatives=1,
        split="user",
        valid_share=0.1,
        test_share=0.8,
        quiet=True,
    )
    beam_jobs.prepare(options)
    return folder / "DATA"

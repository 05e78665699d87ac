"""`tfrec train` as a function: configuration, model, training with validation, on request the refit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from tfrec_zoo.data.sequences import TRAIN_AND_VALID
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import RunConfig, load_config
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.optimizers import averaged_weights, make_optimizer
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.trainer import BEST_METRIC, Trainer, TrainingResult, steps_per_epoch, write_history


def train(
    model: str,
    data: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    *,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    seed: int | None = None,
    refit: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains a model of the zoo and leaves it in a run directory.

    The number of steps is chosen on valid. With `refit`, a second model with the same seed is then trained that many
    steps on train + valid, and is the one that the run keeps.

    Args:
        model: Name in the registry.
        data: The dataset directory.
        workdir: The run directory.
        config: A YAML file or nested values over the model's preset.
        assignments: "KEY=VALUE" strings over that.
        seed: Of every random choice.
        refit: Train the chosen number of steps on train + valid.
        overwrite: Drop a finished run in `workdir`.
        quiet: No progress.

    Returns:
        The keys of `tfrec train --json`: model, steps, epochs, seconds, sequences_per_s, data_wait_share, best_metric,
        best_value, parameters, and refit_seconds where there was one.

    Raises:
        ConfigError: An unknown model or key, or a value out of range.
        DataError: The dataset is missing or damaged, or too small to validate on.
        TrainingError: The run directory is taken, or the loss is not finite.
    """
    resolved = load_config(model, config, assignments, seed)
    model_class = get_model(model)
    spec = DatasetSpec.read(data)
    model_class.from_spec(spec, resolved.network)  # a configuration that makes no model leaves no run behind
    run = RunDirectory.create(workdir, resolved, overwrite)

    trained = compiled_model(resolved, spec)
    parameters = trained.count_params()
    with TrainingProgress(model, resolved.training.epochs, quiet) as progress:
        trainer = Trainer(trained, spec, resolved.training, seed=resolved.seed, progress=progress)
        result = trainer.fit(keep_best=lambda: run.save_model(trained))
        write_history(result.history, run.path / "history.csv")
        refitted = _refit(run, resolved, spec, result, progress) if refit else None
    summary = {
        "model": model,
        "steps": result.best_step if refit else result.steps,
        "epochs": round(result.steps / trainer.steps_per_epoch, 2),
        "seconds": round(result.seconds, 2),
        "sequences_per_s": round(result.sequences_per_s, 1),
        "data_wait_share": round(result.data_wait_share, 5),
        "best_metric": f"valid {BEST_METRIC}",
        "best_value": result.best_value,
        "best_step": result.best_step,
        "parameters": parameters,
        "refit_seconds": round(refitted.seconds, 2) if refitted else None,
    }
    run.finish(summary, spec)
    return summary


def compiled_model(config: RunConfig, spec: DatasetSpec) -> Recommender:
    """Makes the untrained model of a configuration with its optimizer; the same seed makes the same weights."""
    keras.utils.set_random_seed(config.seed)
    model = get_model(config.model).from_spec(spec, config.network)
    total_steps = config.training.epochs * steps_per_epoch(spec, config.training)
    model.compile(optimizer=make_optimizer(config.training, total_steps))
    model.optimizer.build(model.trainable_variables)
    return model


def print_result(result: Mapping[str, Any]) -> None:
    """Prints a finished run as one line on stdout."""
    refit = f", refit in {result['refit_seconds']:.0f} s" if result["refit_seconds"] else ""
    print(
        f"{result['model']}  {result['best_metric']} {result['best_value']:.4f} at step {result['best_step']}  "
        f"{result['epochs']:g} epochs in {result['seconds']:.0f} s{refit}  "
        f"{result['sequences_per_s']:,.0f} sequences/s  "
        f"data wait {result['data_wait_share']:.1%}  {result['parameters']:,} parameters"
    )


def _refit(
    run: RunDirectory, config: RunConfig, spec: DatasetSpec, chosen: TrainingResult, progress: TrainingProgress
) -> TrainingResult:
    progress.note(f"refit on train + valid for the {chosen.best_step} steps that were best on valid")
    model = compiled_model(config, spec)
    trainer = Trainer(model, spec, config.training, seed=config.seed, split=TRAIN_AND_VALID, progress=progress)
    result = trainer.fit_steps(chosen.best_step)
    with averaged_weights(model):
        run.save_model(model)
    write_history(result.history, run.path / "refit.csv")
    return result

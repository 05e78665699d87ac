"""`tfrec train` as a function: configuration, model, training with validation, on request the refit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from tfrec_zoo.data.sequences import TRAIN, TRAIN_AND_VALID, training_records
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import FAST, RunConfig, load_config
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.checkpoints import Checkpoint, Checkpoints
from tfrec_zoo.training.optimizers import averaged_weights, make_optimizer
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.state import FIT, REFIT, TrainingState, write_history
from tfrec_zoo.training.trainer import BEST_METRIC, Trainer, steps_per_epoch


def train(
    model: str,
    data: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    *,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    seed: int | None = None,
    preset: str = FAST,
    refit: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains a model of the zoo and leaves it in a run directory.

    The number of steps is chosen on valid. With `refit`, a second model with the same seed is then trained that many
    steps on train + valid, and is the one that the run keeps. A run that was interrupted goes on from its last
    checkpoint when the same arguments are given again, and ends with the weights and figures of one that was not.

    Args:
        model: Name in the registry.
        data: The dataset directory.
        workdir: The run directory.
        config: A YAML file or nested values over the model's preset.
        assignments: "KEY=VALUE" strings over that.
        seed: Of every random choice.
        preset: "fast" or "paper".
        refit: Train the chosen number of steps on train + valid.
        overwrite: Drop a run in `workdir`.
        quiet: No progress.

    Returns:
        The keys of `tfrec train --json`: model, steps, epochs, seconds, sequences_per_s, data_wait_share, best_metric,
        best_value, parameters, and refit_seconds where there was one.

    Raises:
        ConfigError: An unknown model or key, or a value out of range.
        DataError: The dataset is missing or damaged, or too small to validate on.
        TrainingError: The run directory is taken by a run that is finished, under way or of other arguments, or the
            loss is not finite.
    """
    resolved = load_config(model, config, assignments, seed, preset)
    model_class = get_model(model)
    spec = DatasetSpec.read(data)
    model_class.from_spec(spec, resolved.network)  # a configuration that makes no model leaves no run behind
    if not training_records(spec) or not spec.catalog_size:
        raise DataError(f"{spec.directory} holds nothing to train on: it has no train sequences. Is the log empty?")
    with RunDirectory(Path(workdir)).lock():
        run = RunDirectory.create(workdir, resolved, overwrite)
        with TrainingProgress(model, resolved.training.epochs, quiet) as progress:
            return _train(run, resolved, spec, refit, progress)


def _train(
    run: RunDirectory, config: RunConfig, spec: DatasetSpec, refit: bool, progress: TrainingProgress
) -> dict[str, Any]:
    """Both phases, from where the run is to its end."""
    checkpoints = Checkpoints(run, spec, refit, progress.note)
    last = checkpoints.latest()
    if last:
        progress.note(f"going on with {run.path} from step {last.state.result.steps} of the {last.state.phase}")
    chosen = last.state.chosen if last else None
    if chosen is None:
        trainer, state = _trainer(config, spec, TRAIN, TrainingState(FIT), last, progress, checkpoints)
        chosen, last = trainer.fit(state), None
        write_history(chosen.history, run.path / "history.csv")
    refitted = None
    if refit:
        progress.note(f"refit on train + valid for the {chosen.best_step} steps chosen on valid")
        begin = TrainingState(REFIT, chosen=chosen)
        trainer, state = _trainer(config, spec, TRAIN_AND_VALID, begin, last, progress, checkpoints)
        refitted = trainer.fit_steps(chosen.best_step, state)
        with averaged_weights(trainer.model):
            checkpoints.keep_best(trainer.model)
        checkpoints.finish_best(trainer.model)
        write_history(refitted.history, run.path / "refit.csv")
    summary = {
        "model": config.model,
        "steps": chosen.best_step if refit else chosen.steps,
        "epochs": round(chosen.steps / steps_per_epoch(spec, config.training), 2),
        "seconds": round(chosen.seconds, 2),
        "sequences_per_s": round(chosen.sequences_per_s, 1),
        "data_wait_share": round(chosen.data_wait_share, 5),
        "best_metric": f"valid {BEST_METRIC}",
        "best_value": chosen.best_value,
        "best_step": chosen.best_step,
        "parameters": trainer.model.count_params(),
        "refit_seconds": round(refitted.seconds, 2) if refitted else None,
    }
    run.finish(summary, spec)
    return summary


def compiled_model(config: RunConfig, spec: DatasetSpec) -> Recommender:
    """Makes the untrained model of a configuration with its optimizer; the same seed makes the same weights."""
    keras.utils.set_random_seed(config.seed)
    model = get_model(config.model).from_spec(spec, config.network, dtype=config.training.precision)
    model.accumulate_steps = config.training.accumulate_steps
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


def _trainer(
    config: RunConfig,
    spec: DatasetSpec,
    split: str,
    begin: TrainingState,
    last: Checkpoint | None,
    progress: TrainingProgress,
    checkpoints: Checkpoints,
) -> tuple[Trainer, TrainingState]:
    """A trainer at the last checkpoint, or at the beginning of a phase where there is none."""
    model = compiled_model(config, spec)
    if last:
        last.restore(model)
    trainer = Trainer(
        model, spec, config.training, seed=config.seed, split=split, progress=progress, checkpoints=checkpoints
    )
    return trainer, last.state if last else begin

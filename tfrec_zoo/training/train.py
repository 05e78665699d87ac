"""`tfrec train` as a function: configuration, model, training with validation, on request the refit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.data.sequences import TRAIN, TRAIN_AND_VALID
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TfrecError, TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import FAST, RunConfig, load_config
from tfrec_zoo.runs.run_directory import RunDirectory, flat
from tfrec_zoo.training.checkpoints import Checkpoint, Checkpoints
from tfrec_zoo.training.cluster import Cluster
from tfrec_zoo.training.feeds import feed_class
from tfrec_zoo.training.optimizers import make_optimizer
from tfrec_zoo.training.parameter_servers import start_server
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.rendezvous import meet
from tfrec_zoo.training.scalars import Scalars
from tfrec_zoo.training.state import FIT, REFIT, TrainingState, write_history
from tfrec_zoo.training.strategy import AUTO, OF_A_CLUSTER, WORKER_TIMEOUT, Distribution, choose
from tfrec_zoo.training.trainer import Trainer, steps_per_epoch


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
    strategy: str = AUTO,
    worker_timeout: float = WORKER_TIMEOUT,
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains a model of the zoo and leaves it in a run directory.

    The number of steps is chosen on valid. With `refit`, a second model with the same seed is then trained that many
    steps on train + valid, and is the one that the run keeps. A run that was interrupted goes on from its last
    checkpoint when the same arguments are given again, and ends with the weights and figures of one that was not.

    On several machines every worker calls this with the same arguments; the chief alone writes `workdir`. Around
    parameter servers, the chief alone reads `data` too; the others serve it until it has ended, and return nothing.

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
        strategy: One of `strategy.STRATEGIES`; "auto" follows TF_CONFIG and the GPUs of this machine.
        worker_timeout: Seconds without a sign of life after which another worker counts as gone.
        quiet: No progress.

    Returns:
        The keys of `tfrec train --json`: model, steps, epochs, seconds, sequences_per_s, data_wait_share, best_metric,
        best_value, parameters, and refit_seconds where there was one.

    Raises:
        ConfigError: An unknown model or key, or a value out of range.
        DataError: The dataset is missing or damaged, or too small to validate on.
        TrainingError: The run directory is taken by a run that is finished, under way or of other arguments, the loss
            is not finite, or another worker has gone, failed, or was about to train something else.
    """
    if not worker_timeout > 0:
        raise ConfigError(f"--worker-timeout must be a positive number of seconds, not {worker_timeout:g}.")
    cluster = Cluster.from_environment() if strategy in OF_A_CLUSTER else None
    strategy = choose(strategy, cluster)
    if cluster and cluster.servers and not cluster.is_chief:
        serve_chief(cluster, worker_timeout)
        return {}
    try:
        resolved = load_config(model, config, assignments, seed, preset)
        spec = DatasetSpec.read(data)
        feed = feed_class(get_model(model))
        if not feed.records(spec) or not spec.catalog_size:
            have = ", ".join(sorted(spec.features))
            raise DataError(
                f"{spec.directory} holds nothing to train on: it has no train {feed.view} (its views: {have}). Is the "
                f"log empty, or does `tfrec prepare` lack --views {feed.view}?"
            )
    except TfrecError as error:
        if cluster:
            with contextlib.suppress(TrainingError):  # the others hear of it; here it is said as it is
                meet(cluster, {}, worker_timeout, failure=str(error))
        raise
    with contextlib.ExitStack() as stack:
        if cluster:
            facts = _versions() if cluster.servers else _what_is_trained(resolved, spec, refit)
            cluster = stack.enter_context(meet(cluster, facts, worker_timeout, stay=bool(cluster.servers))).cluster
        distribution = Distribution.start(strategy, cluster, worker_timeout)
        stack.enter_context(distribution.guard())
        distribution.check_batch_size(resolved.training.batch_size)
        get_model(model).from_spec(spec, resolved.network)  # a configuration that makes no model leaves no run behind
        run = RunDirectory(Path(workdir))
        if distribution.is_chief:
            stack.enter_context(run.lock())
            run = RunDirectory.create(workdir, resolved, overwrite)
        quiet = quiet or not distribution.is_chief
        progress = stack.enter_context(TrainingProgress(model, resolved.training.epochs, quiet))
        summary = _train(run, resolved, spec, refit, progress, distribution)
        return distribution.share(summary)  # no worker is done before the chief has written everything


def serve_chief(cluster: Cluster, timeout: float) -> None:
    """Makes this process a worker or a parameter server until the chief has ended.

    Raises:
        TrainingError: The chief did not come, failed, or has gone.
    """
    with contextlib.closing(meet(cluster, _versions(), timeout, stay=True)) as meeting:
        server = start_server(meeting.cluster)
        meeting.wait_for_end()
        del server  # it served until here


def _train(
    run: RunDirectory,
    config: RunConfig,
    spec: DatasetSpec,
    refit: bool,
    progress: TrainingProgress,
    distribution: Distribution,
) -> dict[str, Any]:
    """Both phases, from where the run is to its end."""
    checkpoints = Checkpoints(run, spec, refit, progress.note, distribution)
    if distribution.replicas > 1:
        progress.note(f"{distribution.replicas} replicas in {distribution.workers} process(es)")
    if distribution.coordinator:
        progress.note(f"{distribution.coordinator.workers} worker(s), {distribution.coordinator.servers} server(s)")
    last = checkpoints.latest()
    if last:
        progress.note(f"going on with {run.path} from step {last.state.result.steps} of the {last.state.phase}")
    chosen = last.state.chosen if last else None
    if chosen is None:
        trainer, state = _trainer(config, spec, TRAIN, TrainingState(FIT), last, progress, checkpoints, distribution)
        chosen, last = trainer.fit(state), None
        if distribution.is_chief:
            write_history(chosen.history, run.path / "history.csv")
    refitted = None
    if refit:
        progress.note(f"refit on train + valid for the {chosen.best_step} steps chosen on valid")
        begin = TrainingState(REFIT, chosen=chosen)
        trainer, state = _trainer(config, spec, TRAIN_AND_VALID, begin, last, progress, checkpoints, distribution)
        refitted = trainer.fit_steps(chosen.best_step, state)
        with trainer.averaged() as model:
            checkpoints.keep_best(model)
        checkpoints.finish_best()
        if distribution.is_chief:
            write_history(refitted.history, run.path / "refit.csv")
    summary = {
        "model": config.model,
        "steps": chosen.best_step if refit else chosen.steps,
        "epochs": round(chosen.steps / trainer.steps_per_epoch, 2),
        "seconds": round(chosen.seconds, 2),
        "sequences_per_s": round(chosen.sequences_per_s, 1),
        "data_wait_share": round(chosen.data_wait_share, 5),
        "best_metric": f"valid {trainer.metric}",
        "best_value": chosen.best_value,
        "best_step": chosen.best_step,
        "parameters": trainer.model.count_params(),
        "refit_seconds": round(refitted.seconds, 2) if refitted else None,
    }
    if distribution.is_chief:
        run.finish(summary, spec)
    return summary


def _what_is_trained(config: RunConfig, spec: DatasetSpec, refit: bool) -> dict[str, Any]:
    """What has to be equal on every worker, named as an error message names it."""
    shards = sorted((file.path, file.records, file.bytes, file.digest) for file in spec.files)
    return {
        **_versions(),
        **flat(config.to_dict()),
        "--refit": refit,
        "the split's hash": spec.split.hash,
        "the item vocabulary's hash": spec.vocabulary_hash("item"),
        "the hash of the list of shards": hashlib.sha256(json.dumps(shards).encode()).hexdigest(),
        "the number of GPUs": len(tf.config.list_physical_devices("GPU")),
    }


def _versions() -> dict[str, Any]:
    return {
        "the version of tfrec-zoo": metadata.version("tfrec-zoo"),
        "the version of TensorFlow": tf.__version__,
    }


def compiled_model(config: RunConfig, spec: DatasetSpec) -> Recommender:
    """Makes the untrained model of a configuration with its optimizer; the same seed makes the same weights."""
    keras.utils.set_random_seed(config.seed)
    model = get_model(config.model).from_spec(spec, config.network, dtype=config.training.precision)
    model.accumulate_steps = config.training.accumulate_steps
    total_steps = config.training.epochs * steps_per_epoch(config.training, feed_class(model).records(spec))
    model.compile(optimizer=make_optimizer(config.training, total_steps))
    model.build_optimizers()
    return model


def speaks_for_the_run(strategy: str) -> bool:
    """Whether this process is the one of several that shows the result."""
    cluster = Cluster.from_environment() if strategy in OF_A_CLUSTER else None
    return cluster is None or cluster.is_chief


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
    distribution: Distribution,
) -> tuple[Trainer, TrainingState]:
    """A trainer at the last checkpoint, or at the beginning of a phase where there is none."""
    with distribution.scope():
        model = compiled_model(config, spec)
    if last:
        last.restore(model)
    state = last.state if last else begin
    trainer = Trainer(
        model,
        spec,
        config.training,
        seed=config.seed,
        split=split,
        progress=progress,
        checkpoints=checkpoints,
        distribution=distribution,
        scalars=Scalars(checkpoints.run.path / "tensorboard" / state.phase, progress.note)
        if distribution.is_chief
        else None,
    )
    return trainer, state

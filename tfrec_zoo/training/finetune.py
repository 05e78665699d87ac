"""`tfrec finetune` as a function: a pre-trained run and a task's data to a run whose model is the task."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_zoo.data import profiles, records, transfer
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, TrainingError
from tfrec_zoo.evaluation.task_evaluator import TaskEvaluator, target_counts
from tfrec_zoo.models.sequence_recommender import SequenceRecommender
from tfrec_zoo.models.transfer_task import NEXT_ITEM, PROFILE, TransferTask
from tfrec_zoo.patches.injection import backbone_hash
from tfrec_zoo.runs.finetune_config import FinetuneConfig, FinetuneTraining, load_finetune_config
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.runs.task_folder import write_task
from tfrec_zoo.runs.task_run import TASK, TaskRun, check_targets, target_vocabulary
from tfrec_zoo.training.optimizers import averaged_weights, make_optimizer
from tfrec_zoo.training.state import write_history

BEST = {NEXT_ITEM: ("ndcg@10", 1.0), PROFILE: ("logloss", -1.0)}
"""What is followed on valid, and the sign that makes more better."""


def finetune(
    model: str,
    source: str | os.PathLike[str],
    data: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    *,
    task: str = NEXT_ITEM,
    mode: str = "patches",
    name: str | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    seed: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Fine-tunes a pre-trained model to a task and leaves it in a run directory.

    Args:
        model: Name of the pre-trained model in the registry.
        source: Its run directory.
        data: The dataset with the view transfer or profiles; its items must be those of the pre-training.
        workdir: The new run directory.
        task: "next_item", or "profile:LABEL".
        mode: "patches", "head" or "all"; the first two leave the backbone as it is, to the byte.
        name: Of the task; default: "next_item", or the label.
        config: A YAML file or nested values of a `FinetuneConfig`.
        assignments: "KEY=VALUE" strings over that, such as "task.patch=parallel".
        seed: Of every random choice.
        overwrite: Drop a run in `workdir`.
        quiet: No progress.

    Returns:
        model, task, mode, steps, epochs, seconds, best_metric, best_value, best_step, parameters, trainable_parameters,
        backbone_hash (before), backbone_hash_after, task_bytes (None in mode "all").

    Raises:
        ConfigError: No such run or model, an unknown key, or a value out of range.
        DataError: The dataset has not the view or the label, or other source items than the pre-training.
        TrainingError: The run directory is taken, or the loss is not finite.
    """
    run = RunDirectory.open(source)
    if TaskRun.is_one(source):
        raise ConfigError(f"{source} is a fine-tuned run; --from takes the pre-trained one that it came from.")
    kind, _, label = task.partition(":")
    given: dict[str, Any] = {
        "model": model,
        "source": str(source),
        "name": name or (label.lower() or kind),
        "task": {"kind": kind, "label": label or None, "mode": mode},
    }
    if seed is not None:
        given["seed"] = seed
    resolved = load_finetune_config(given, config, assignments)
    if run.config().model != model:
        raise ConfigError(f"{source} holds a {run.config().model}, not a {model}.")
    spec = DatasetSpec.read(data)
    check_targets(spec, resolved.task)
    keras.utils.set_random_seed(resolved.seed)  # loading draws the seeds of the dropout
    base = run.load_model(spec)
    if not isinstance(base, SequenceRecommender):
        raise ConfigError(f"{model} has no backbone that takes patches; fine-tune a model of sequences.")
    with TaskRun(Path(workdir)).lock():
        return _finetune(TaskRun.start(workdir, resolved, overwrite), base, resolved, spec, quiet)


def _finetune(
    run: TaskRun, base: SequenceRecommender, config: FinetuneConfig, spec: DatasetSpec, quiet: bool
) -> dict[str, Any]:
    def note(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr)

    before = backbone_hash(base.backbone)
    targets = spec.vocabulary(target_vocabulary(config.task))
    if config.task.kind == NEXT_ITEM:
        common = len(set(targets) & set(spec.vocabulary("item")))
        if common:
            note(f"{common:,} of {len(targets):,} target items have an id that the source has too: taken as different")
    task = new_task(base, len(targets), config)
    trained = train_task(task, spec, config.training, seed=config.seed, note=note)
    after = backbone_hash(base.backbone)
    if config.task.mode != "all" and after != before:
        raise TrainingError(f"the backbone changed in mode {config.task.mode}: {before[:16]} became {after[:16]}.")
    run.save_model(task)
    counts = target_counts(spec, config.task)
    size = (
        None if config.task.mode == "all" else write_task(run.path / TASK, config.name, task, before, targets, counts)
    )
    write_history(trained.pop("history"), run.path / "history.csv")
    result = {
        "model": config.model,
        "task": config.name,
        "mode": config.task.mode,
        **trained,
        "parameters": task.count_params(),
        "trainable_parameters": sum(int(np.prod(weight.shape)) for weight in task.trainable_weights),
        "backbone_hash": before,
        "backbone_hash_after": after,
        "task_bytes": size,
    }
    run.finish({**result, "targets_hash": spec.vocabulary_hash(target_vocabulary(config.task))}, spec)
    return result


def new_task(base: SequenceRecommender, targets: int, config: FinetuneConfig) -> TransferTask:
    """An untrained task on a pre-trained model; the same seed makes the same weights."""
    keras.utils.set_random_seed(config.seed)
    return TransferTask(base, targets, config.task)


def train_task(
    task: TransferTask, spec: DatasetSpec, config: FinetuneTraining, *, seed: int = 0, note: Any = lambda _: None
) -> dict[str, Any]:
    """Trains a task and leaves it with the weights that were best on valid.

    Args:
        task: Not compiled.
        spec: The dataset.
        config: How.
        seed: Of the order of the records.
        note: Called with a line a validation.

    Returns:
        steps, epochs, seconds, best_metric, best_value, best_step, history.

    Raises:
        TrainingError: The loss is not finite.
    """
    start = time.perf_counter()
    length = task.history_length
    if task.config.kind == NEXT_ITEM:
        count = transfer.training_records(spec)
        batches = transfer.training_batches(spec, config.batch_size, length, seed=seed)
    else:
        count = profiles.training_records(spec)
        batches = profiles.training_batches(spec, str(task.config.label), config.batch_size, length, seed=seed)
    batches = batches.map(task.training_inputs, num_parallel_calls=records.PARALLEL_CALLS).prefetch(4)
    per_epoch = max(1, math.ceil(count / config.batch_size))
    values = {name: value for name, value in config.to_dict().items() if name in TrainingConfig.model_fields}
    task.compile(optimizer=make_optimizer(TrainingConfig.parse(values), config.epochs * per_epoch))
    task.optimizer.build(task.trainable_variables)
    step = tf.function(task.train_step, input_signature=[batches.element_spec])
    metric, sign = BEST[task.config.kind]
    evaluate = TaskEvaluator(task, spec, task.config, split="valid", filter_seen=True, ks=(min(10, task.targets),))
    best: dict[str, Any] = {"value": -math.inf, "step": 0, "weights": []}
    history: list[dict[str, float]] = []
    iterator, steps, waited, epoch = records.explained(batches, spec), 0, 0, 0
    for epoch in range(1, config.epochs + 1):
        task.reset_metrics()
        logs: dict[str, Any] = {}
        for _ in range(per_epoch):
            logs = step(next(iterator))
            steps += 1
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} by step {steps}. Lower training.learning_rate.")
        if epoch % config.validate_every and epoch != config.epochs:
            continue
        with averaged_weights(task):
            metrics = evaluate().metrics
            value = next(each for name, each in metrics.items() if name.startswith(metric.partition("@")[0]))
            if sign * value > best["value"]:
                weights = [weight.numpy() for weight in task.trainable_variables]
                best, waited = {"value": sign * value, "step": steps, "weights": weights}, 0
            else:
                waited += 1
        history.append({"epoch": epoch, "step": steps, "loss": loss, f"val_{metric}": value})
        note(f"epoch {epoch}  loss {loss:.4f}  valid {metric} {value:.4f}{'  best' if not waited else ''}")
        if waited >= config.patience:
            break
    for weight, value in zip(task.trainable_variables, best["weights"], strict=True):
        weight.assign(value)
    return {
        "steps": steps,
        "epochs": epoch,
        "seconds": round(time.perf_counter() - start, 2),
        "best_metric": f"valid {metric}",
        "best_value": sign * best["value"],
        "best_step": best["step"],
        "history": history,
    }


def print_finetuned(result: Mapping[str, Any]) -> None:
    """Prints a finished fine-tuning on stdout."""
    same = "unchanged" if result["backbone_hash"] == result["backbone_hash_after"] else "changed"
    size = f"  task folder {result['task_bytes']:,} bytes" if result["task_bytes"] else ""
    print(
        f"{result['task']} on {result['model']} ({result['mode']})  {result['best_metric']} {result['best_value']:.4f} "
        f"at step {result['best_step']}, {result['epochs']} epochs in {result['seconds']:.0f} s  "
        f"{result['trainable_parameters']:,} trained parameters{size}\n"
        f"backbone sha256 {result['backbone_hash_after']} {same}"
    )

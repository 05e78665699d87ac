"""The directory of a fine-tuning run: a run whose model is a task, with the task's own folder in it.

RUN/config.yaml    the resolved configuration, a `FinetuneConfig`
RUN/task/          the task alone, for the patch registry (runs/task_folder.py); not in mode "all"
RUN/model.keras    the task with the network that it stands on
RUN/history.csv    one row a validation
RUN/train.json     the result, written last
"""

from __future__ import annotations

import os
from pathlib import Path

import keras

from tfrec_zoo.config import read_yaml
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TrainingError
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.models.transfer_task import NEXT_ITEM, TaskConfig, TransferTask
from tfrec_zoo.runs.finetune_config import FinetuneConfig
from tfrec_zoo.runs.run_directory import RunDirectory

_CONFIG, TASK = "config.yaml", "task"


class TaskRun(RunDirectory):
    """A fine-tuning run; see `RunDirectory`."""

    @classmethod
    def is_one(cls, path: str | os.PathLike[str]) -> bool:
        """Whether a directory holds a fine-tuning run."""
        config = Path(path) / _CONFIG
        return config.is_file() and "task" in read_yaml(config)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TaskRun:
        RunDirectory.open(path)
        if not cls.is_one(path):
            raise ConfigError(f"{path} holds no task. Make one with `tfrec finetune MODEL --from {path}`.")
        return cls(Path(path))

    @classmethod
    def start(cls, path: str | os.PathLike[str], config: FinetuneConfig, overwrite: bool = False) -> TaskRun:
        """Makes the directory and writes the configuration; an unfinished run of the same one starts anew.

        Raises:
            TrainingError: Another run, a finished one or something else is there, or it cannot be written.
        """

        def goes_on(run: TaskRun) -> bool:
            same = cls.is_one(path) and run.finetune_config() == config and not run.result()
            if not overwrite and not same:
                raise TrainingError(f"{path} holds a run. Choose another --workdir, or train anew with --overwrite.")
            return False

        return cls._begin(path, config.to_yaml(), goes_on)

    def finetune_config(self) -> FinetuneConfig:
        """The resolved configuration of the run."""
        return FinetuneConfig.parse(read_yaml(self.path / _CONFIG))

    def load_task(self, spec: DatasetSpec) -> TransferTask:
        """Loads the run's task for a dataset with the same source items and the same targets.

        Raises:
            DataError: The dataset has others.
            ConfigError: The model file is damaged.
        """
        config = self.finetune_config()
        get_model(config.model)  # registers the class with Keras
        path = self.path / "model.keras"
        try:
            task = keras.saving.load_model(path, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        for vocabulary, key in (("item", "vocabulary_hash"), (target_vocabulary(config.task), "targets_hash")):
            known = self.result().get(key)
            check_targets(spec, config.task)
            if known not in (None, spec.vocabulary_hash(vocabulary)):
                raise DataError(
                    f"the task in {self.path} was trained with another vocabulary of {vocabulary} than "
                    f"{spec.directory} has. Use the dataset it was trained on."
                )
        return task


def target_vocabulary(task: TaskConfig) -> str:
    """Name of the vocabulary of a task's targets in DATA."""
    return "target_item" if task.kind == NEXT_ITEM else str(task.label)


def check_targets(spec: DatasetSpec, task: TaskConfig) -> None:
    """Refuses a dataset that has nothing for a task.

    Raises:
        DataError: It has not the view, the label, or any train record.
    """
    view = "transfer" if task.kind == NEXT_ITEM else "profiles"
    features = spec.features.get(view)
    if features is None:
        flag = "--target-input" if task.kind == NEXT_ITEM else "--profile-labels"
        raise DataError(
            f"{spec.directory} has no view {view} (it has {', '.join(sorted(spec.features))}): run `tfrec prepare` "
            f"with --views sequences,{view} and {flag}."
        )
    if task.kind != NEXT_ITEM and task.label not in features:
        labels = [name for name in features if name not in ("user", "items", "times")]
        raise DataError(f"{spec.directory}: profiles have no label {task.label!r}; they have {', '.join(labels)}.")
    for split in ("train", "valid"):
        if not spec.records(view, split):
            raise DataError(f"{spec.directory} has no {split} records in the view {view}: more users are needed.")

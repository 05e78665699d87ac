"""The patch registry: a task as a folder of a few MB, for one backbone and no other.

TASK/task.yaml      name, task, number of targets, the model and the hash of the backbone that it fits; written last
TASK/weights.npz    patches and head, and how frequent each target was in train
TASK/targets.txt    raw ids of the target's items, or names of the classes, one a line
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import yaml

from tfrec_zoo.config import Config, read_yaml
from tfrec_zoo.errors import ConfigError, TrainingError
from tfrec_zoo.models.sequence_recommender import SequenceRecommender
from tfrec_zoo.models.transfer_task import TaskConfig, TransferTask
from tfrec_zoo.patches.injection import backbone_hash

_TASK, _WEIGHTS, _TARGETS = "task.yaml", "weights.npz", "targets.txt"


class _TaskFile(Config):
    """What task.yaml holds."""

    format_version: int = 1
    name: str
    model: str
    backbone_hash: str
    targets: int = pydantic.Field(ge=1)
    task: TaskConfig


class TaskFolder:
    """A task that was read.

    Args:
        path: The folder.

    Attributes:
        name: Of the task.
        config: What it learned.
        backbone_hash: Of the backbone that it fits.
        vocabulary: File with its targets, one a line.

    Raises:
        ConfigError: It is no task, or is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / _TASK).is_file():
            raise ConfigError(f"{path} is not a task: it has no {_TASK}. Make one with `tfrec finetune`.")
        file = _TaskFile.parse(read_yaml(self.path / _TASK))
        self.name, self.config, self.backbone_hash = file.name, file.task, file.backbone_hash
        self.vocabulary = self.path / _TARGETS
        self._file = file
        try:
            with np.load(self.path / _WEIGHTS, allow_pickle=False) as stored:
                self.counts = stored["counts"]
                self._weights = [stored[str(number)] for number in range(len(stored.files) - 1)]
            found = len(self.targets())
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(f"{path} is damaged: {error}. Run `tfrec finetune` again.") from error
        if not found == len(self.counts) == file.targets:
            raise ConfigError(f"{path} is damaged: {found} targets, {_TASK} says {file.targets}. Fine-tune again.")

    def targets(self) -> list[str]:
        """Raw ids of the items, or names of the classes, by column."""
        return self.vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")

    def attach(self, base: SequenceRecommender) -> TransferTask:
        """The task on a pre-trained model, which is shared and not changed.

        Raises:
            ConfigError: It fits another backbone.
        """
        digest = backbone_hash(base.backbone)
        if digest != self.backbone_hash:
            raise ConfigError(
                f"the task {self.name!r} in {self.path} fits the backbone {self.backbone_hash[:16]} and no other; this "
                f"one is {digest[:16]}. Use the run that it was fine-tuned from, or fine-tune again."
            )
        task = TransferTask(base, self._file.targets, self.config)
        shapes = [tuple(weight.shape) for weight in task.own_weights]
        if shapes != [weight.shape for weight in self._weights]:
            raise ConfigError(f"{self.path} is damaged: its weights are not those of its {_TASK}. Fine-tune again.")
        for weight, value in zip(task.own_weights, self._weights, strict=True):
            weight.assign(value)
        return task


def write_task(
    path: Path, name: str, task: TransferTask, digest: str, targets: Sequence[str], counts: np.ndarray
) -> int:
    """Writes a task folder; task.yaml comes last.

    Args:
        path: The folder; made where it is missing.
        name: Of the task.
        task: Trained on a frozen backbone.
        digest: Hash of that backbone.
        targets: Raw ids or classes by column.
        counts: Train records of each.

    Returns:
        Its size in bytes.

    Raises:
        TrainingError: It cannot be written.
    """
    weights: dict[str, Any] = {str(number): weight.numpy() for number, weight in enumerate(task.own_weights)}
    file = _TaskFile(name=name, model=task.name_in_zoo, backbone_hash=digest, targets=task.targets, task=task.config)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / _TASK).unlink(missing_ok=True)
        np.savez(path / _WEIGHTS, counts=np.asarray(counts, np.float64), **weights)
        (path / _TARGETS).write_text("".join(f"{target}\n" for target in targets), encoding="utf-8")
        (path / _TASK).write_text(yaml.safe_dump(file.to_dict(), sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"the task {path} cannot be written: {error.strerror}.") from error
    return sum(each.stat().st_size for each in path.iterdir())

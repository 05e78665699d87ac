"""Checkpoints of a run: the state, the variables of model, optimizer and loss; the last ones and the best model.

RUN/checkpoints/fit-<step>.ckpt, refit-<step>.ckpt    the last `KEEP`, each enough to go on bit for bit
RUN/model.keras                                       the best model

A checkpoint never names a best model that is not on the disk: the model is written first.

With several workers the chief reads and writes; the others get from it what it read, and need not see its disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training import checkpoint_file
from tfrec_zoo.training.checkpoint_file import DamagedCheckpointError
from tfrec_zoo.training.state import TrainingState
from tfrec_zoo.training.strategy import DEFAULT, Distribution

KEEP = 2

_ADVICE = "Choose another --workdir, or train anew with --overwrite."


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes:
        path: Its file.
        state: Where the run was.
        arrays: Values of the variables, in the order of `_variables`.
    """

    path: Path
    state: TrainingState
    arrays: list[np.ndarray]

    def restore(self, model: Recommender) -> None:
        """Puts the values into the variables of the model, its optimizer and its loss.

        Raises:
            TrainingError: The variables are others than those of the model that was saved.
        """
        variables = _variables(model)
        shapes = [(tuple(variable.shape), variable.dtype) for variable in variables]
        if shapes != [(array.shape, array.dtype.name) for array in self.arrays]:
            raise TrainingError(
                f"{self.path} holds other variables than the model has: another version wrote it. {_ADVICE}"
            )
        for variable, array in zip(variables, self.arrays, strict=True):
            for copy in _copies(variable):
                copy.assign(array)


class Checkpoints:
    """Writes and finds the checkpoints of one run; a full disk stops neither training nor the earlier checkpoint.

    Args:
        run: Its directory.
        spec: The dataset, whose identity every checkpoint carries.
        refit: Whether the run ends with a refit.
        note: Says one line to the user.
        distribution: Where the run trains; default: on one device.
    """

    def __init__(
        self,
        run: RunDirectory,
        spec: DatasetSpec,
        refit: bool,
        note: Callable[[str], None],
        distribution: Distribution | None = None,
    ) -> None:
        self.run, self._note = run, note
        self._distribution = distribution or Distribution.start(DEFAULT)
        self._directory = run.path / "checkpoints"
        self._identity = {**run.identity(spec), "refit": refit}
        self._failing = False
        self._unsaved_best: tuple[Recommender, list[np.ndarray]] | None = None

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None in a run that has written none yet.

        Raises:
            TrainingError: It belongs to another dataset, all are damaged, or a model is there without any.
        """
        found = self._newest() if self._distribution.is_chief else None
        said = self._distribution.share([str(found.path), found.state.to_json()] if found else None)
        if said is None:
            return None
        path, state = said
        arrays = self._distribution.share_arrays(found.arrays if found else [])
        return Checkpoint(Path(path), TrainingState.from_json(state), arrays)

    def _newest(self) -> Checkpoint | None:
        for leftover in self._directory.glob(".*"):  # what a kill left of a file being written
            leftover.unlink()
        damaged: list[Path] = []
        for path in reversed(self._paths()):
            try:
                meta, arrays = checkpoint_file.read(path)
            except DamagedCheckpointError as error:
                self._note(f"{error}; trying the one before")
                damaged.append(path)
                continue
            self._check_identity(meta["identity"])
            for worse in damaged:  # otherwise it would count as the newest when old ones are dropped
                worse.unlink(missing_ok=True)
            return Checkpoint(path, TrainingState.from_json(meta["state"]), [array for _, array in arrays])
        if damaged:
            raise TrainingError(f"no checkpoint in {self._directory} is whole, the run cannot go on. {_ADVICE}")
        if self.run.has_model():
            raise TrainingError(f"{self.run.path} holds a run that did not finish and has no checkpoint. {_ADVICE}")
        return None

    def save(self, model: Recommender, state: TrainingState) -> None:
        """Writes a checkpoint and drops the oldest; when the disk refuses, says so once and leaves the earlier ones."""
        if not self._distribution.is_chief:
            return
        path = self._directory / f"{state.phase}-{state.result.steps:010d}.ckpt"
        meta = {"identity": self._identity, "state": state.to_json()}
        try:
            self._save_pending_best()
            self._directory.mkdir(exist_ok=True)
            arrays = [(variable.path, _copies(variable)[0].numpy()) for variable in _variables(model)]
            checkpoint_file.write(path, meta, arrays)
        except OSError as error:
            self._say_failing(f"the checkpoint of step {state.result.steps}", error)
            return
        self._failing = False
        for old in self._paths()[:-KEEP]:
            old.unlink(missing_ok=True)

    def keep_best(self, model: Recommender) -> None:
        """Makes the model the run's; when the disk refuses, its weights wait in memory for the next attempt."""
        if not self._distribution.is_chief:
            return
        try:
            self.run.save_model(model)
            self._unsaved_best = None
        except OSError as error:
            self._unsaved_best = model, [variable.numpy().copy() for variable in model.variables]
            self._say_failing("the best model", error)

    def finish_best(self) -> None:
        """The last attempt to save the best model, for the end of training.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            self._save_pending_best()
        except OSError as error:
            raise TrainingError(
                f"the best model cannot be written into {self.run.path}: {_reason(error)}. Free some space and run "
                "the same command again: it goes on from the last checkpoint."
            ) from error

    def _save_pending_best(self) -> None:
        if self._unsaved_best is None:
            return
        model, values = self._unsaved_best
        with _weights(model, values):
            self.run.save_model(model)
        self._unsaved_best = None

    def _say_failing(self, what: str, error: OSError) -> None:
        if not self._failing:
            self._note(f"{what} could not be written: {_reason(error)}. Training goes on; the earlier files stay.")
        self._failing = True

    def _paths(self) -> list[Path]:
        # "fit" sorts before "refit", and steps have leading zeros.
        return sorted(self._directory.glob("*.ckpt"))

    def _check_identity(self, saved: Mapping[str, Any]) -> None:
        said = {
            "split_hash": "was trained on another dataset (another split)",
            "vocabulary_hash": "was trained on another dataset (another item vocabulary)",
            "refit": f"was started {'with' if saved.get('refit') else 'without'} --refit",
        }
        for key, text in said.items():
            if saved.get(key) != self._identity[key]:
                raise TrainingError(f"the run in {self.run.path} {text}. {_ADVICE}")


def _variables(model: Recommender) -> list[Any]:
    # model.variables has the states of the dropout's seed generators too; the loss is a mean that is half-way in an
    # epoch.
    slots = [variable for optimizer in model.optimizers for variable in optimizer.variables]
    return [*model.variables, *slots, *model.metrics_variables]


def _copies(variable: Any) -> Sequence[tf.Variable]:
    """A variable on every replica of this machine. Reading or assigning them all as one may wait for other machines."""
    value = variable.value
    return value.values if isinstance(value, tf.distribute.DistributedValues) else [value]


@contextlib.contextmanager
def _weights(model: Recommender, values: list[np.ndarray]) -> Any:
    now = [variable.numpy().copy() for variable in model.variables]
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)
    try:
        yield
    finally:
        for variable, value in zip(model.variables, now, strict=True):
            variable.assign(value)


def _reason(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())[:200]


def all_finite(model: Recommender) -> bool:
    """Whether no trainable weight is NaN or infinite."""
    return all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in model.trainable_variables)

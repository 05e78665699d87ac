"""A run's directory: what training writes and what evaluation, export and a later session read.

RUN/config.yaml    the resolved configuration, written first
RUN/model.keras    the best model so far, or the refitted one
RUN/checkpoints/   where an interrupted run goes on (training/checkpoints.py)
RUN/history.csv    one row a validation (refit.csv: one row an epoch of the refit)
RUN/train.json     the result and the dataset's identity, written last: a run without it is not finished
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras

from tfrec_zoo.config import read_yaml
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import RunConfig

_CONFIG, _MODEL, _RESULT = "config.yaml", "model.keras", "train.json"

_Run = TypeVar("_Run", bound="RunDirectory")


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Paths, reading and writing of one run.

    Attributes:
        path: The directory.
    """

    path: Path

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: RunConfig, overwrite: bool = False) -> RunDirectory:
        """Starts a run: makes the directory and writes its configuration. A run that did not finish is taken up again.

        Args:
            path: The directory; made where it is missing.
            config: The resolved configuration.
            overwrite: Drop a run that is there.

        Raises:
            TrainingError: A finished run or one of another configuration is there and `overwrite` is off, something
                else is, or the directory cannot be made.
        """

        def goes_on(run: RunDirectory) -> bool:
            if overwrite:
                return False
            run._check_that_it_goes_on(config)
            run._drop_leftovers()
            return True

        return cls._begin(path, config.to_yaml(), goes_on)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """Opens a run that holds a model.

        Raises:
            ConfigError: There is no run, or it has not saved a model yet.
        """
        run = cls(Path(path))
        for name in (_CONFIG, _MODEL):
            if not (run.path / name).is_file():
                raise ConfigError(
                    f"{path} is not a run: it has no {name}. Train one with `tfrec train MODEL --workdir {path}`."
                )
        return run

    @classmethod
    def _begin(cls: type[_Run], path: str | os.PathLike[str], config: str, goes_on: Callable[[_Run], bool]) -> _Run:
        """Makes a directory with a configuration in it, after clearing a run that is there and does not go on."""
        run = cls(Path(path))
        if run.path.is_dir() and any(run.path.iterdir()):
            if not (run.path / _CONFIG).exists():
                raise TrainingError(f"{path} is not empty and holds no run. Choose another --workdir.")
            if goes_on(run):
                return run
            run._clear()
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._write(_CONFIG, config)
        except OSError as error:
            raise TrainingError(f"the run directory {path} cannot be written: {error}") from error
        return run

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from training in the directory, which is made; the lock ends with the process.

        Raises:
            TrainingError: Another process has it, or the directory cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY)  # the directory itself: no lock file that a kill would leave
        except OSError as error:
            raise TrainingError(f"the run directory {self.path} cannot be written: {error}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(f"another process is training in {self.path}. Choose another --workdir.") from None
            except OSError:
                pass  # a file system without locks
            yield
        finally:
            os.close(descriptor)

    def config(self) -> RunConfig:
        """The resolved configuration of the run."""
        return RunConfig.parse(read_yaml(self.path / _CONFIG))

    def result(self) -> dict[str, Any]:
        """What `finish` wrote; empty for a run that is not finished."""
        path = self.path / _RESULT
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def has_model(self) -> bool:
        """Whether a model was saved."""
        return (self.path / _MODEL).is_file()

    def save_model(self, model: Recommender) -> None:
        """Replaces the run's model, so that a crash in between leaves the earlier one.

        Raises:
            OSError: The disk is full, or the file cannot be written; nothing of it stays.
        """
        temporary = self.path / f".{os.getpid()}.{_MODEL}"
        try:
            model.save(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self.path / _MODEL)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def load_model(self, spec: DatasetSpec) -> Recommender:
        """Loads the run's model for a dataset.

        Args:
            spec: The dataset that it will read; must be the one it was trained on, or one with the same catalogue.

        Raises:
            DataError: The dataset has another catalogue.
            ConfigError: The model file is damaged or of another version.
        """
        get_model(self.config().model)  # registers the class with Keras
        path = self.path / _MODEL
        try:
            model = keras.saving.load_model(path, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        vocabulary = self.result().get("vocabulary_hash")
        if model.catalog_size != spec.catalog_size or vocabulary not in (None, spec.vocabulary_hash("item")):
            raise DataError(
                f"the model in {self.path} was trained on another catalogue ({model.catalog_size} items) than "
                f"{spec.directory} has ({spec.catalog_size} items). Use the dataset it was trained on."
            )
        return model

    def finish(self, result: Mapping[str, Any], spec: DatasetSpec) -> None:
        """Writes the result with the identity of the dataset; the run is finished then.

        Raises:
            TrainingError: The file cannot be written.
        """
        try:
            self._write(_RESULT, json.dumps({**result, **self.identity(spec)}, indent=1) + "\n")
        except OSError as error:
            raise TrainingError(
                f"{self.path / _RESULT} cannot be written: {error.strerror}. Free some space and run again."
            ) from error

    @staticmethod
    def identity(spec: DatasetSpec) -> dict[str, str]:
        """What makes the dataset of a run this one and no other."""
        return {"split_hash": spec.split.hash, "vocabulary_hash": spec.vocabulary_hash("item")}

    def _check_that_it_goes_on(self, config: RunConfig) -> None:
        advice = "Choose another --workdir, or train anew with --overwrite."
        if self.result():
            raise TrainingError(f"{self.path} holds a finished run. {advice}")
        there, wanted = flat(self.config().to_dict()), flat(config.to_dict())
        keys = [key for key in {**there, **wanted} if there.get(key) != wanted.get(key)]
        if keys:
            differences = ", ".join(f"{key} is {there.get(key)!r} there and {wanted.get(key)!r} now" for key in keys)
            raise TrainingError(
                f"{self.path} holds a run that did not finish, of another configuration: {differences}. {advice}"
            )

    def _clear(self) -> None:
        # Not the directory itself, which carries the lock; what says whose directory it is goes last.
        for entry in sorted(self.path.iterdir(), key=lambda entry: (entry.name == _CONFIG, entry.name == _RESULT)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _drop_leftovers(self) -> None:
        for leftover in self.path.glob(".[0-9]*.*"):  # what a kill left of a file being written
            leftover.unlink()

    def _write(self, name: str, text: str) -> None:
        temporary = self.path / f".{os.getpid()}.{name}"
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self.path / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as "outer.inner" -> value."""
    keys: dict[str, Any] = {}
    for key, value in values.items():
        keys |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return keys

"""A run's directory: what training writes and what evaluation, export and a later session read.

RUN/config.yaml    the resolved configuration, written first
RUN/model.keras    the best model so far, or the refitted one
RUN/history.csv    one row a validation (refit.csv: one row an epoch of the refit)
RUN/train.json     the result and the dataset's identity, written last: a run without it is not finished
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tfrec_zoo.config import read_yaml
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import RunConfig

_CONFIG, _MODEL, _RESULT = "config.yaml", "model.keras", "train.json"


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Paths, reading and writing of one run.

    Attributes:
        path: The directory.
    """

    path: Path

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: RunConfig, overwrite: bool = False) -> RunDirectory:
        """Starts a run: makes the directory and writes its configuration.

        Args:
            path: The directory; made where it is missing.
            config: The resolved configuration.
            overwrite: Drop a run that is there.

        Raises:
            TrainingError: A run is there and `overwrite` is off, something else is, or the directory cannot be made.
        """
        run = cls(Path(path))
        if run.path.is_dir() and any(run.path.iterdir()):
            if not (run.path / _CONFIG).exists():
                raise TrainingError(f"{path} is not empty and holds no run. Choose another --workdir.")
            if not overwrite:
                state = "a finished run" if run.result() else "a run that did not finish"
                raise TrainingError(f"{path} holds {state}. Choose another --workdir, or train anew with --overwrite.")
            shutil.rmtree(run.path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._write(_CONFIG, config.to_yaml())
        except OSError as error:
            raise TrainingError(f"the run directory {path} cannot be written: {error}") from error
        return run

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

    def config(self) -> RunConfig:
        """The resolved configuration of the run."""
        return RunConfig.parse(read_yaml(self.path / _CONFIG))

    def result(self) -> dict[str, Any]:
        """What `finish` wrote; empty for a run that is not finished."""
        path = self.path / _RESULT
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def save_model(self, model: Recommender) -> None:
        """Replaces the run's model, so that a crash in between leaves the earlier one."""
        temporary = self.path / f".{os.getpid()}.{_MODEL}"
        model.save(temporary)
        os.replace(temporary, self.path / _MODEL)

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
        """Writes the result with the identity of the dataset; the run is finished then."""
        identity = {"split_hash": spec.split.hash, "vocabulary_hash": spec.vocabulary_hash("item")}
        self._write(_RESULT, json.dumps({**result, **identity}, indent=1) + "\n")

    def _write(self, name: str, text: str) -> None:
        temporary = self.path / f".{os.getpid()}.{name}"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self.path / name)

"""Games of two players on the shared Trainer: an interrupted run ends as a whole one, two replicas as one device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import cgan_test, seqgan_test
from tests.training.resume_test import Stopped, stop_after
from tests.training.train_test import weights_of
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.training.train import train

NETWORKS: dict[str, dict[str, Any]] = {
    "seqgan": {**seqgan_test.SMALL, "reconstruction_weight": 0.1, "adversarial_after": 3, "dropout": 0.25},
    "cgan": {**cgan_test.SMALL, "unknown_rate": 0.1},
}
STILL = {"seqgan": {"dropout": 0.0}, "cgan": {"dropout": 0.0, "unknown_rate": 0.0}}
"""Without what replicas draw for themselves."""
TRAINING = {"epochs": 2, "validate_every": 2, "learning_rate": 0.01, "save_every": 3}
BATCH = {"seqgan": 16, "cgan": 64}


@pytest.fixture(params=NETWORKS)
def game(request: pytest.FixtureRequest) -> tuple[str, DatasetSpec]:
    """A model's name and a dataset of its view."""
    return request.param, request.getfixturevalue({"seqgan": "spec", "cgan": "positives"}[request.param])


@pytest.mark.slow
def test_resume_is_exact(game: tuple[str, DatasetSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights, of both players and of what else a model trains, to the last bit; the kill falls within an epoch."""
    name, spec = game
    training = {**TRAINING, "batch_size": BATCH[name], "ema_momentum": 0.9}
    arguments: dict[str, Any] = {"config": {"network": NETWORKS[name], "training": training}, "quiet": True}
    whole = train(name, spec.directory, tmp_path / "WHOLE", **arguments)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(Stopped):
            train(name, spec.directory, tmp_path / "RUN", **arguments)
    resumed = train(name, spec.directory, tmp_path / "RUN", **arguments)
    assert resumed["best_value"] == whole["best_value"]
    for one, other in zip(weights_of(tmp_path / "WHOLE", spec), weights_of(tmp_path / "RUN", spec), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_two_replicas_train_as_one_device(game: tuple[str, DatasetSpec], tmp_path: Path) -> None:
    name, spec = game
    training = {**TRAINING, "batch_size": BATCH[name], "optimizer": "sgd", "learning_rate": 0.1}
    config = {"network": {**NETWORKS[name], **STILL[name]}, "training": training}
    for strategy in ("default", "mirrored"):
        train(name, spec.directory, tmp_path / strategy, config=config, strategy=strategy, quiet=True)
    for one, other in zip(weights_of(tmp_path / "default", spec), weights_of(tmp_path / "mirrored", spec), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

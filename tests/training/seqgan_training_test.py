"""The game of SeqGAN on the shared Trainer: an interrupted run ends as a whole one, two replicas as one device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.seqgan_test import SMALL
from tests.training.resume_test import Stopped, stop_after
from tests.training.train_test import weights_of
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.training.train import train

CONFIG: dict[str, Any] = {
    "network": {**SMALL, "reconstruction_weight": 0.1, "adversarial_after": 3, "dropout": 0.0},
    "training": {"batch_size": 16, "epochs": 2, "validate_every": 2, "learning_rate": 0.01, "save_every": 3},
}


@pytest.mark.slow
def test_resume_is_exact(data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of both players and of the roll-out policy, to the last bit; the kill falls within an epoch."""
    averaged = {**CONFIG["training"], "ema_momentum": 0.9}
    config = {"network": {**CONFIG["network"], "dropout": 0.25}, "training": averaged}
    whole = train("seqgan", data, tmp_path / "WHOLE", config=config, quiet=True)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(Stopped):
            train("seqgan", data, tmp_path / "RUN", config=config, quiet=True)
    resumed = train("seqgan", data, tmp_path / "RUN", config=config, quiet=True)
    assert resumed["best_value"] == whole["best_value"]
    for one, other in zip(weights_of(tmp_path / "WHOLE", spec), weights_of(tmp_path / "RUN", spec), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_two_replicas_train_as_one_device(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "optimizer": "sgd", "learning_rate": 0.1}}
    for strategy in ("default", "mirrored"):
        train("seqgan", data, tmp_path / strategy, config=config, strategy=strategy, quiet=True)
    for one, other in zip(weights_of(tmp_path / "default", spec), weights_of(tmp_path / "mirrored", spec), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

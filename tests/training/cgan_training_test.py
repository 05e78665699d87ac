"""The game of cgan on the shared Trainer: an interrupted run ends as a whole one, two replicas as one device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.cgan_test import SMALL
from tests.models.conftest import positives  # noqa: F401
from tests.training.resume_test import Stopped, stop_after
from tests.training.train_test import weights_of
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.training.train import train

CONFIG: dict[str, Any] = {
    "network": {**SMALL, "unknown_rate": 0.0, "dropout": 0.0},
    "training": {"batch_size": 64, "epochs": 2, "validate_every": 2, "learning_rate": 0.01, "save_every": 3},
}


@pytest.mark.slow
def test_resume_is_exact(positives: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Weights of the towers and of both players, to the last bit; the kill falls within an epoch."""
    data, averaged = positives.directory, {**CONFIG["training"], "ema_momentum": 0.9}
    config = {"network": {**SMALL, "unknown_rate": 0.1}, "training": averaged}
    whole = train("cgan", data, tmp_path / "WHOLE", config=config, quiet=True)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(Stopped):
            train("cgan", data, tmp_path / "RUN", config=config, quiet=True)
    resumed = train("cgan", data, tmp_path / "RUN", config=config, quiet=True)
    assert resumed["best_value"] == whole["best_value"]
    one, other = (weights_of(tmp_path / name, positives) for name in ("WHOLE", "RUN"))
    for weight, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.slow
def test_two_replicas_train_as_one_device(positives: DatasetSpec, tmp_path: Path) -> None:  # noqa: F811
    config = {**CONFIG, "training": {**CONFIG["training"], "optimizer": "sgd", "learning_rate": 0.1}}
    for strategy in ("default", "mirrored"):
        train("cgan", positives.directory, tmp_path / strategy, config=config, strategy=strategy, quiet=True)
    one, other = (weights_of(tmp_path / name, positives) for name in ("default", "mirrored"))
    for weight, same in zip(one, other, strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-3, atol=1e-4)

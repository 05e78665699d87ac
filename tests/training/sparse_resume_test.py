"""Checkpoints hold what the optimizers of large catalogues keep by row."""

from pathlib import Path

import pytest

from tests.training.resume_test import CONFIG, assert_equal_fits, interrupt, start


@pytest.mark.parametrize("optimizer", ["lazy_adam", "row_wise_adagrad"])
def test_a_stopped_run_with_a_sparse_optimizer_ends_as_if_it_had_not_stopped(
    optimizer: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**CONFIG["training"], "optimizer": optimizer, "ema_momentum": 0.9, "clip_norm": 1.0, "epochs": 3}
    network = {**CONFIG["network"], "loss": "sampled_softmax", "negatives": 5}
    config = {"network": network, "training": training}
    start(data, tmp_path / "WHOLE", config=config, refit=False)
    interrupt(monkeypatch, 7, data, tmp_path / "RUN", config=config, refit=False)
    start(data, tmp_path / "RUN", config=config, refit=False)
    assert_equal_fits(tmp_path / "WHOLE", tmp_path / "RUN")

"""What training says when something stops being finite."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.training.train_test import SMALL
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.training import non_finite
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.train import compiled_model, train
from tfrec_zoo.training.trainer import Trainer


@pytest.fixture
def trainer(spec: DatasetSpec) -> Trainer:
    config = load_config("bert4rec", SMALL)
    return Trainer(
        compiled_model(config, spec), spec, config.training, progress=TrainingProgress("bert4rec", 1, quiet=True)
    )


def test_a_healthy_step_is_left_as_it_is(trainer: Trainer) -> None:
    before = [variable.numpy().copy() for variable in trainer.model.variables]
    assert non_finite.first_non_finite(trainer.model, next(iter(trainer.batches()))) == ""
    for variable, value in zip(trainer.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_broken_weight_is_named(trainer: Trainer) -> None:
    weight = trainer.model.trainable_variables[3]
    value = weight.numpy().copy()
    value.flat[0] = np.nan
    weight.assign(value)
    found = non_finite.first_non_finite(trainer.model, next(iter(trainer.batches())))
    assert found == f"the weight {weight.path} was the first that is not finite"


def test_a_broken_gradient_is_named(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trainer.model.target_losses

    @tf.custom_gradient
    def breaks_backwards(losses: tf.Tensor) -> tuple:
        return losses, lambda upstream: upstream * np.inf

    monkeypatch.setattr(trainer.model, "target_losses", lambda *arguments: breaks_backwards(real(*arguments)))
    found = non_finite.first_non_finite(trainer.model, next(iter(trainer.batches())))
    assert found.startswith("the gradient of ")


def test_a_gradient_that_breaks_in_mid_epoch_stops_there_with_its_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 steps an epoch; the gradient of step 14 is infinite, the loss of step 15 the first that shows it."""
    real = Recommender._loss_part

    @tf.custom_gradient
    def breaks_backwards(part: tf.Tensor, step: tf.Tensor) -> tuple:
        return part, lambda upstream: (tf.where(step == 13, np.inf, 1.0) * upstream, None)

    def loss_part(self: Recommender, *arguments: object, **options: object) -> tf.Tensor:
        return breaks_backwards(real(self, *arguments, **options), self.optimizer.iterations.value)

    monkeypatch.setattr(Recommender, "_loss_part", loss_part)
    config = {**SMALL, "training": {**SMALL["training"], "batch_size": 2, "save_every": 6}}
    with pytest.raises(TrainingError, match="loss became nan at step 15: the weight .* was the first") as error:
        train("bert4rec", data, tmp_path / "RUN", config=config, quiet=True)
    assert "\n" not in str(error.value)
    with np.load(tmp_path / "RUN" / "bad_batch.npz") as batch:
        assert batch["inputs/item_ids"].shape == (2, 12)
    saved = sorted(path.stem for path in (tmp_path / "RUN" / "checkpoints").iterdir())
    assert saved == ["fit-0000000006", "fit-0000000012"], "no checkpoint holds what is not finite"


def test_weights_that_break_at_the_end_of_an_epoch_are_never_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 8 is the last before the first validation, and its loss is still finite."""
    real = Recommender.train_step

    def train_step(self: Recommender, batch: object) -> dict:
        logs = real(self, batch)
        weight = self.trainable_variables[0]
        weight.assign(tf.where(self.optimizer.iterations.value == 8, np.nan, 1.0) * weight)
        return logs

    monkeypatch.setattr(Recommender, "train_step", train_step)
    with pytest.raises(TrainingError, match="weights are no longer finite at step 8"):
        train("bert4rec", data, tmp_path / "RUN", config=SMALL, quiet=True)
    assert not (tmp_path / "RUN" / "model.keras").exists()

"""Two replicas on logical devices train as one device does."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.training.curves import STEPS, curve, new_model, trainer
from tests.training.resume_test import CONFIG, interrupt, rows, start
from tests.training.train_test import weights_of
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, TrainingError
from tfrec_zoo.training.strategy import DEFAULT, MIRRORED, Distribution

Curve = tuple[np.ndarray, list[np.ndarray]]


@pytest.fixture(scope="module")
def mirrored() -> Distribution:
    distribution = Distribution.start(MIRRORED)
    assert distribution.replicas == 2
    return distribution


@pytest.fixture(scope="module")
def single(spec: DatasetSpec) -> dict[str, Curve]:
    return {case: curve(case, spec, Distribution.start(DEFAULT)) for case in ("sgd", "two optimizers")}


def assert_equal_curves(one: Curve, other: Curve, rtol: float = 1e-5) -> None:
    assert len(one[0]) == len(other[0]) == STEPS
    assert one[0][-1] < one[0][0]
    np.testing.assert_allclose(one[0], other[0], rtol=rtol)
    for weight, again in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(weight, again, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("case", ["sgd", "two optimizers"])
def test_the_trainer_on_two_replicas_equals_one_device(
    case: str, single: dict[str, Curve], mirrored: Distribution, spec: DatasetSpec
) -> None:
    assert_equal_curves(single[case], curve(case, spec, mirrored))


def test_fit_on_two_replicas_equals_one_device(
    single: dict[str, Curve], mirrored: Distribution, spec: DatasetSpec
) -> None:
    with mirrored.strategy.scope():
        model = new_model("sgd", spec)
    batches = trainer("sgd", spec, Distribution.start(DEFAULT)).batches()
    losses = model.fit(batches, epochs=STEPS, steps_per_epoch=1, verbose=0).history["loss"]
    weights = [weight.numpy() for weight in model.trainable_variables]
    assert_equal_curves(single["sgd"], (np.array(losses), weights))


def test_each_replica_sees_its_own_half_of_a_batch(mirrored: Distribution) -> None:
    def step(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        first = context.all_reduce(
            "SUM", tf.reduce_sum(batch) * tf.cast(context.replica_id_in_sync_group == 0, tf.int32)
        )
        return {"first": first, "all": context.all_reduce("SUM", tf.reduce_sum(batch))}

    logs = mirrored.replicate(step, tf.TensorSpec([4, 1], tf.int32), 2, own=False)(tf.constant([[1], [2], [4], [8]]))
    assert (int(logs["first"]), int(logs["all"])) == (3, 15)


def test_a_batch_that_replicas_cannot_share_is_refused(mirrored: Distribution, spec: DatasetSpec) -> None:
    with pytest.raises(ConfigError, match="batch_size is 15, which 2 replicas cannot share equally: take 14 or 16"):
        trainer("sgd", spec, mirrored, batch_size=15)


@pytest.mark.slow
def test_a_mirrored_run_is_validated_averaged_and_goes_on_bit_for_bit(
    data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = {**CONFIG["network"], "dropout": 0.0}
    config = {"network": network, "training": {**CONFIG["training"], "epochs": 4, "ema_momentum": 0.9}}
    mirrored = {"config": config, "refit": False, "strategy": "mirrored"}
    single, whole, stopped = (tmp_path / name for name in ("SINGLE", "WHOLE", "STOPPED"))
    start(data, single, config=config, refit=False)
    start(data, whole, **mirrored)
    interrupt(monkeypatch, 11, data, stopped, **mirrored)
    start(data, stopped, **mirrored)
    assert rows(whole / "history.csv") == rows(stopped / "history.csv")
    for weight, again in zip(weights_of(whole, spec), weights_of(stopped, spec), strict=True):
        np.testing.assert_array_equal(weight, again)
    for column in ("loss", "val_ndcg@10"):
        values = [[float(row[column]) for row in rows(run / "history.csv")] for run in (single, whole)]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-3)


@pytest.mark.slow
def test_a_mirrored_run_that_diverges_names_what_went_first(data: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "learning_rate": 1e38}}
    with pytest.raises(TrainingError, match="loss became nan at step .*largest weight"):
        start(data, tmp_path / "RUN", config=config, refit=False, strategy="mirrored")
    assert (tmp_path / "RUN" / "bad_batch.npz").exists()

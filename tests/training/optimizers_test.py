from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import inputs
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.optimizers import averaged_weights, make_optimizer

OPTIMIZERS = pytest.mark.parametrize("optimizer", ["adam", "lazy_adam", "row_wise_adagrad", "sgd"])


@OPTIMIZERS
def test_weight_decay_spares_biases_and_layer_norm(optimizer: str, spec: DatasetSpec) -> None:
    model = Bert4Rec.from_spec(spec, CONFIG)
    config = TrainingConfig(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(config, 10)
    optimizer.build(model.trainable_variables)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    # Zero gradients: whatever moves, moves by weight decay alone.
    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])
    moved = {variable.path for variable in model.trainable_variables if variable.numpy().max() < 1}
    spared = {variable.path for variable in model.trainable_variables if variable.numpy().min() == 1}
    assert len(moved) + len(spared) == len(model.trainable_variables)
    assert all(path.endswith(("kernel", "embeddings")) for path in moved)
    assert all(path.endswith(("bias", "gamma", "beta")) for path in spared)


def test_a_wrong_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="`optimizer`.*'adam', 'lazy_adam', 'row_wise_adagrad' or 'sgd'"):
        TrainingConfig.parse({"optimizer": "lazyadam"})
    with pytest.raises(ConfigError, match="`precision`.*got 'float16'"):
        TrainingConfig.parse({"precision": "float16"})
    with pytest.raises(ConfigError, match=r"accumulate_steps \(8\) must not be larger than batch_size \(4\)"):
        TrainingConfig.parse({"batch_size": 4, "accumulate_steps": 8})


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [("adam", "softmax"), ("lazy_adam", "sampled_softmax"), ("row_wise_adagrad", "sampled_softmax")],
)
def test_averaged_weights_are_the_moving_average_and_go_again(optimizer: str, loss: str, spec: DatasetSpec) -> None:
    keras.utils.set_random_seed(0)
    model = Bert4Rec.from_spec(spec, {**CONFIG, "loss": loss, "negatives": 3})
    config = TrainingConfig(optimizer=optimizer, learning_rate=0.01, ema_momentum=0.8)
    model.compile(optimizer=make_optimizer(config, 10))
    model.optimizer.build(model.trainable_variables)
    expected, train_step = None, tf.function(model.train_step)
    for step, batch in enumerate(inputs(model, spec).map(two_rows).take(6)):
        train_step(batch)
        if step == 3:  # asking for the average changes nothing of it
            with averaged_weights(model):
                pass
        weights = [variable.numpy() for variable in model.trainable_variables]
        if expected is None:
            expected = weights
        else:
            expected = [0.8 * mean + 0.2 * weight for mean, weight in zip(expected, weights, strict=True)]
    with averaged_weights(model):
        for variable, mean in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable.numpy(), mean, rtol=1e-5, atol=1e-7)
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), weight)


def two_rows(*batch: Any) -> Any:
    """Few rows of the table in a step, so that most of them rest for some steps."""
    return tf.nest.map_structure(lambda tensor: tensor[:2], batch)


def test_without_an_average_the_weights_stay(spec: DatasetSpec) -> None:
    model = Bert4Rec.from_spec(spec, CONFIG)
    model.compile(optimizer=make_optimizer(TrainingConfig(), 10))
    before = [variable.numpy() for variable in model.trainable_variables]
    with averaged_weights(model):
        for variable, weight in zip(model.trainable_variables, before, strict=True):
            np.testing.assert_array_equal(variable.numpy(), weight)

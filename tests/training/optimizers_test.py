import keras
import numpy as np

from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import inputs
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.optimizers import averaged_weights, make_optimizer


def test_weight_decay_spares_biases_and_layer_norm(spec: DatasetSpec) -> None:
    model = Bert4Rec.from_spec(spec, CONFIG)
    optimizer = make_optimizer(TrainingConfig(learning_rate=0.1, weight_decay=0.5), 10)
    assert isinstance(optimizer, keras.optimizers.AdamW)
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


def test_averaged_weights_are_the_moving_average_and_go_again(spec: DatasetSpec) -> None:
    keras.utils.set_random_seed(0)
    model = Bert4Rec.from_spec(spec, CONFIG)
    model.compile(optimizer=make_optimizer(TrainingConfig(learning_rate=0.01, ema_momentum=0.8), 10))
    expected = None
    for batch in inputs(model, spec).take(6):
        model.train_step(batch)
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


def test_without_an_average_the_weights_stay(spec: DatasetSpec) -> None:
    model = Bert4Rec.from_spec(spec, CONFIG)
    model.compile(optimizer=make_optimizer(TrainingConfig(), 10))
    before = [variable.numpy() for variable in model.trainable_variables]
    with averaged_weights(model):
        for variable, weight in zip(model.trainable_variables, before, strict=True):
            np.testing.assert_array_equal(variable.numpy(), weight)

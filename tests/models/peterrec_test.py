from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import inputs, new_model, random_histories, run_model_contract
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, MASK, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.peterrec import PeterRec

CONFIG = {"dim": 16, "dilations": [1, 2], "max_length": 12, "dropout": 0.1}


def test_contract(spec: DatasetSpec, tmp_path: Path) -> None:
    run_model_contract(PeterRec, CONFIG, spec, tmp_path)


@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce"])
def test_the_sampled_losses_learn_too(spec: DatasetSpec, loss: str) -> None:
    model = new_model(PeterRec, {**CONFIG, "dropout": 0.0, "loss": loss, "negatives": 20}, spec)
    losses = model.fit(inputs(model, spec), epochs=3, steps_per_epoch=20, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_without_the_causal_order_hidden_items_are_named(spec: DatasetSpec) -> None:
    model = new_model(PeterRec, {**CONFIG, "causal": False, "last_item_share": 0.3}, spec)
    losses = model.fit(inputs(model, spec), epochs=4, steps_per_epoch=20, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    history = random_histories(spec, 4, 20)
    item_ids = np.concatenate([history[:, -11:], np.full((4, 1), MASK)], axis=1)
    logits = model({"item_ids": item_ids, "positions": np.full((4, 1), 11)})
    np.testing.assert_array_equal(model.score(history), logits[:, 0])


def test_the_target_of_a_position_is_the_next_item(spec: DatasetSpec) -> None:
    model = new_model(PeterRec, CONFIG, spec)
    history = random_histories(spec, 6, model.history_length)
    given, targets, weights = model.training_inputs({"history": tf.constant(history), "seed": tf.constant([0, 0])})
    np.testing.assert_array_equal(given["item_ids"], history[:, :-1])
    np.testing.assert_array_equal(targets, history[:, 1:])
    np.testing.assert_array_equal(weights.numpy() > 0, history[:, :-1] >= FIRST_ITEM_ID)


def test_the_default_number_of_negatives_is_a_fifth_of_the_catalogue() -> None:
    config = PeterRec(100, {}).config
    assert [config.negatives_of(size) for size in (3, 100, 10**6)] == [1, 20, 8192]


@pytest.mark.parametrize(
    "wrong", [{"dilations": []}, {"dilations": [0]}, {"causal": False, "kernel_size": 2}, {"blocks": 2}]
)
def test_a_wrong_configuration_is_refused(spec: DatasetSpec, wrong: dict) -> None:
    with pytest.raises(ConfigError):
        PeterRec.from_spec(spec, {**CONFIG, **wrong})

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import new_model, random_histories, run_model_contract
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD, DatasetSpec
from tfrec_zoo.models.sasrec import SASRec

CONFIG = {"dim": 16, "blocks": 2, "heads": 2, "max_length": 12, "dropout": 0.1}


def test_contract(spec: DatasetSpec, tmp_path: Path) -> None:
    run_model_contract(SASRec, CONFIG, spec, tmp_path)


def test_no_position_sees_what_comes_after_it(spec: DatasetSpec) -> None:
    model = new_model(SASRec, CONFIG, spec)
    item_ids = tf.constant(random_histories(spec, 8, 12))
    with tf.GradientTape() as tape:
        embedded = model.backbone.embedding(item_ids)
        tape.watch(embedded)
        hidden = embedded
        columns = np.arange(12)
        attends = (item_ids != PAD)[:, None, :] & (columns[None, :] <= columns[:, None])[None]
        for block in model.backbone.blocks:
            hidden = block(hidden, attends)
        early = tf.reduce_sum(hidden[:, 5] ** 2 * tf.range(1.0, 17.0))
    gradient = tape.gradient(early, embedded).numpy()
    np.testing.assert_array_equal(hidden, model.backbone(item_ids))
    assert (gradient[:, 6:] == 0).all()
    full = (item_ids.numpy() != PAD).all(axis=1)
    assert (np.abs(gradient[full, :6]).max(axis=-1) > 0).all()


def test_the_target_of_a_position_is_the_next_item(spec: DatasetSpec) -> None:
    model = new_model(SASRec, CONFIG, spec)
    history = random_histories(spec, 6, model.history_length)
    inputs, targets, weights = model.training_inputs({"history": tf.constant(history), "seed": tf.constant([0, 0])})
    np.testing.assert_array_equal(inputs["item_ids"], history[:, :-1])
    np.testing.assert_array_equal(targets, history[:, 1:])
    np.testing.assert_array_equal(weights.numpy() > 0, history[:, :-1] >= FIRST_ITEM_ID)


@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce"])
def test_the_sampled_losses_learn_too(spec: DatasetSpec, loss: str) -> None:
    from tests.models.model_contract import inputs

    config = {**CONFIG, "dropout": 0.0, "loss": loss, "negatives": 20}
    model = new_model(SASRec, config, spec)
    losses = model.fit(inputs(model, spec), epochs=3, steps_per_epoch=20, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    again = new_model(SASRec, config, spec)
    assert again.fit(inputs(again, spec), epochs=3, steps_per_epoch=20, verbose=0).history["loss"] == losses

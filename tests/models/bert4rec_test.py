from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import new_model, random_histories, run_model_contract
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, MASK, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.bert4rec import Bert4Rec

CONFIG = {"dim": 16, "blocks": 2, "heads": 2, "max_length": 12, "dropout": 0.1, "mask_rate": 0.3}


def test_contract(spec: DatasetSpec, tmp_path: Path) -> None:
    run_model_contract(Bert4Rec, CONFIG, spec, tmp_path)


def test_only_the_latest_items_are_scored_with_mask_after_them(spec: DatasetSpec) -> None:
    model = new_model(Bert4Rec, CONFIG, spec)
    history = random_histories(spec, 4, 20)
    np.testing.assert_array_equal(model.score(history), model.score(history[:, -11:]))
    network_input = np.concatenate([history[:, -11:], np.full((4, 1), MASK)], axis=1)
    logits = model({"item_ids": network_input, "positions": np.full((4, 1), 11)})
    np.testing.assert_array_equal(model.score(history), logits[:, 0])


def test_the_loss_is_the_mean_negative_log_likelihood_of_the_hidden_items(spec: DatasetSpec) -> None:
    model = new_model(Bert4Rec, {**CONFIG, "dropout": 0.0}, spec)
    batch = {"history": tf.constant(random_histories(spec, 6, 12)), "seed": tf.constant([0, 0], tf.int64)}
    inputs, targets, weights = model.training_inputs(batch)
    logits = model(inputs).numpy().astype(np.float64)
    log_likelihood = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    hidden = weights.numpy() > 0
    columns = targets.numpy() - FIRST_ITEM_ID
    expected = -np.mean([log_likelihood[row, place, columns[row, place]] for row, place in np.argwhere(hidden)])
    assert model.test_on_batch(inputs, targets, weights) == pytest.approx(expected, rel=1e-5)


def test_the_item_embeddings_are_stored_once(spec: DatasetSpec) -> None:
    shapes = [tuple(weight.shape) for weight in new_model(Bert4Rec, CONFIG, spec).weights]
    assert shapes.count((FIRST_ITEM_ID + spec.catalog_size, 16)) == 1
    assert (16, spec.catalog_size) not in shapes


@pytest.mark.parametrize("wrong", [{"dim": 15}, {"mask_rate": 0}, {"max_length": 1}, {"colour": "red"}])
def test_a_wrong_configuration_is_refused(spec: DatasetSpec, wrong: dict) -> None:
    with pytest.raises(ConfigError):
        Bert4Rec.from_spec(spec, {**CONFIG, **wrong})

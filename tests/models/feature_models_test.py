"""Two towers and rankers: the contract, and what each promises beyond it."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.feature_model_contract import held_out, inputs, run_feature_model_contract
from tests.models.model_contract import new_model
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.losses.info_nce import info_nce
from tfrec_zoo.losses.pointwise import log_loss
from tfrec_zoo.models.deepfm import DeepFM
from tfrec_zoo.models.din import DIN
from tfrec_zoo.models.dssm import DSSM
from tfrec_zoo.models.inttower import IntTower
from tfrec_zoo.models.ncf import NCF

SMALL = {"dim": 8, "dropout": 0.1, "max_length": 6}
TOWERS = {**SMALL, "units": (16, 8)}


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        (DSSM, {**TOWERS, "batch_norm": False, "unknown_rate": 0.0}),
        (IntTower, {**TOWERS, "heads": 2, "item_heads": 3, "head_dim": 4}),
        (NCF, {**SMALL, "units": (8, 4)}),
        (DIN, {**SMALL, "units": (16,), "attention_units": (6,)}),
        (DeepFM, TOWERS),
    ],
    ids=["dssm", "inttower", "ncf", "din", "deepfm"],
)
def test_contract(model_class, config, rated: DatasetSpec, tmp_path: Path) -> None:
    rounding = 1e-5 if model_class is IntTower else 1e-6
    run_feature_model_contract(model_class, config, rated, tmp_path, rounding=rounding)


def test_contract_of_retrieval(positives: DatasetSpec, tmp_path: Path) -> None:
    config = {**TOWERS, "objective": "retrieval", "batch_norm": False, "hard_negatives": 20}
    # One user stands in a batch several times, each time with another item: the loss cannot fall to 0.
    run_feature_model_contract(DSSM, config, positives, tmp_path, fall=0.85)


@pytest.mark.parametrize("model_class", [DSSM, IntTower])
def test_towers_share_no_variables(model_class, rated: DatasetSpec) -> None:
    model = new_model(model_class, TOWERS, rated)
    rows = held_out(model, rated)
    touched = []
    for encode in (model.encode_users, model.encode_items):
        with tf.GradientTape() as tape:
            encoded = tf.reduce_sum(encode({name: tf.constant(value) for name, value in rows.items()}))
        gradients = tape.gradient(encoded, model.trainable_variables)
        touched.append({id(v) for v, g in zip(model.trainable_variables, gradients, strict=True) if g is not None})
    assert touched[0]
    assert touched[1]
    assert not touched[0] & touched[1]


def test_the_logit_of_dssm_is_a_product_and_two_biases(rated: DatasetSpec) -> None:
    model = new_model(DSSM, TOWERS, rated)
    rows = held_out(model, rated)
    users, items = model.encode_users(rows).numpy(), model.encode_items(rows).numpy()
    product = (users[:, :8] * items[:, :8]).sum(axis=1)
    assert np.ptp(np.linalg.norm(users[:, :8], axis=1)) > 0
    assert (users[:, :8] < 0).any(), "no ReLU keeps the vectors in a corner"
    np.testing.assert_allclose(model(rows), product + users[:, 8] + items[:, 9], rtol=1e-5, atol=1e-5)


def test_normalised_vectors_make_it_a_cosine(rated: DatasetSpec) -> None:
    model = new_model(DSSM, {**TOWERS, "normalize": True, "temperature": 0.25}, rated)
    rows = held_out(model, rated)
    users, items = model.encode_users(rows).numpy(), model.encode_items(rows).numpy()
    np.testing.assert_allclose(np.linalg.norm(users[:, :8], axis=1), 2.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(items[:, :8], axis=1), 2.0, rtol=1e-5)
    np.testing.assert_allclose(model(rows), (users * items).sum(axis=1), rtol=1e-5, atol=1e-6)
    cosine = (users[:, :8] * items[:, :8]).sum(axis=1)
    np.testing.assert_allclose(model(rows), cosine + users[:, 8] + items[:, 9], rtol=1e-5, atol=1e-5)


def test_rows_without_a_positive_teach_retrieval_nothing(rated: DatasetSpec) -> None:
    model = new_model(DSSM, {**TOWERS, "objective": "retrieval"}, rated)
    batch = next(iter(inputs(new_model(DSSM, TOWERS, rated), rated)))
    labels = batch[1].numpy()
    features = {**batch[0], "label": tf.constant(labels)}
    _, _, weights = model.training_inputs(features)
    np.testing.assert_array_equal(weights, labels * (batch[0]["item"].numpy() >= FIRST_ITEM_ID))


def test_the_loss_of_inttower_is_log_loss_and_cir(rated: DatasetSpec) -> None:
    """The published code leaves CIR out; here its weight changes the loss by exactly so much."""
    losses = {}
    for weight in (0.0, 0.5, 1.0):
        model = new_model(IntTower, {**TOWERS, "dropout": 0.0, "cir_weight": weight}, rated)
        given, labels, _ = next(iter(inputs(model, rated)))
        losses[weight] = model.target_losses(given, labels, False).numpy()
    np.testing.assert_allclose(losses[0.0], log_loss(model(given, training=False), labels), rtol=1e-5)
    np.testing.assert_allclose(losses[1.0] - losses[0.0], 2 * (losses[0.5] - losses[0.0]), rtol=1e-3, atol=1e-5)
    added = losses[1.0] - losses[0.0]
    np.testing.assert_allclose(added[labels.numpy() == 0], 0.0, atol=1e-6)
    user, item = model.user_layers(given, False)[-1], model.item_layers(given, False)[-1]
    cir = info_nce(user, item, given["item"], model.config.cir_temperature).numpy()
    np.testing.assert_allclose(added, labels * cir, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("part", ["light_se", "fe_block"])
def test_parts_of_inttower_can_be_left_out(part: str, rated: DatasetSpec) -> None:
    whole, without = (new_model(IntTower, {**TOWERS, part: value}, rated) for value in (True, False))
    assert without.count_params() < whole.count_params()
    assert np.isfinite(without(held_out(without, rated))).all()


def test_every_user_layer_of_inttower_takes_part(rated: DatasetSpec) -> None:
    """The published code feeds the layers' inputs, so that the last user layer is unused."""
    model = new_model(IntTower, TOWERS, rated)
    rows = held_out(model, rated)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(rows))
    dense = [layer.kernel for layer in model.user_tower._dense]
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(total, [kernel.value for kernel in dense]))


def test_the_pairs_of_deepfm_are_those_of_a_naive_loop(rated: DatasetSpec) -> None:
    model = new_model(DeepFM, TOWERS, rated)
    model.output_layer.kernel.assign(tf.zeros_like(model.output_layer.kernel))
    rows = held_out(model, rated)
    fields = np.concatenate([model.user_fields(rows), model.item_fields(rows)], axis=1)
    weights = np.concatenate([model.user_weights(rows), model.item_weights(rows)], axis=1)[..., 0].sum(axis=1)
    count = fields.shape[1]
    pairs = sum((fields[:, a] * fields[:, b]).sum(axis=1) for a in range(count) for b in range(a))
    np.testing.assert_allclose(model(rows), weights + pairs, rtol=1e-4, atol=1e-5)


def test_ncf_reads_the_two_ids(rated: DatasetSpec) -> None:
    model = new_model(NCF, {}, rated)
    assert model.features == ["user_id", "item"]


@pytest.mark.parametrize("wrong", [{"user_features": ["gender"]}, {"item_features": ["year"]}])
def test_din_needs_the_history_and_the_item(wrong: dict, rated: DatasetSpec) -> None:
    with pytest.raises(ConfigError, match="din reads the history beside the item"):
        DIN.from_spec(rated, wrong)


def test_a_feature_that_is_no_input_is_refused(rated: DatasetSpec, spec: DatasetSpec) -> None:
    with pytest.raises(ConfigError, match="user_features names 'rating'.*it has .*gender"):
        DSSM.from_spec(rated, {"user_features": ["user_id", "rating"]})
    with pytest.raises(ConfigError, match="item_features is empty"):
        DSSM.from_spec(rated, {"item_features": []})
    with pytest.raises(DataError, match=r"has no view interactions .*--views"):
        DSSM.from_spec(spec)

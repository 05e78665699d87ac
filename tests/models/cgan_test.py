"""cgan: the contract, and beyond it: who trains on what, the votes of draws, users of whom nothing is known."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.feature_model_contract import held_out, inputs, run_feature_model_contract
from tests.models.feature_models_test import TOWERS
from tests.models.model_contract import new_model
from tfrec_zoo.dataset_spec import OOV, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.evaluation.catalogue_matching import CatalogueMatcher
from tfrec_zoo.models.cgan import CGAN
from tfrec_zoo.models.dssm import DSSM

SMALL: dict[str, Any] = {
    **TOWERS,
    "batch_norm": False,
    "noise_dim": 4,
    "generator_units": (16,),
    "discriminator_units": (16,),
    "draws": 5,
}


def test_contract(positives: DatasetSpec, tmp_path: Path) -> None:
    # The generator's loss is part of the sum, and rises where the discriminator learns.
    run_feature_model_contract(CGAN, {**SMALL, "adversarial_weight": 0.1}, positives, tmp_path, fall=0.87)


def test_towers_learn_as_those_of_dssm_do(positives: DatasetSpec) -> None:
    """For the game their vectors are constants: whatever its weight, they have the gradients of retrieval alone."""
    config = {**TOWERS, "batch_norm": False, "dropout": 0.0}
    model = new_model(CGAN, {**SMALL, "dropout": 0.0, "adversarial_weight": 7.0}, positives)
    dssm = new_model(DSSM, {**config, "objective": "retrieval"}, positives)
    towers = dssm.trainable_variables
    for own, other in zip(model.trainable_variables, towers, strict=False):
        assert own.shape == other.shape
        other.assign(own)
    given, targets, _ = next(iter(inputs(model, positives)))
    found = []
    for each in (model, dssm):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(each.target_losses(given, targets, True))
        found.append(tape.gradient(loss, each.trainable_variables[: len(towers)]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), rtol=1e-4, atol=1e-6)


def test_each_player_takes_its_own_step(positives: DatasetSpec) -> None:
    model = new_model(CGAN, SMALL, positives)
    given, _, weights = next(iter(inputs(model, positives)))
    judge = model.discriminator.trainable_variables
    assert not {id(variable) for variable in judge} & {id(variable) for variable in model.optimized_variables}
    assert len(judge) + len(model.optimized_variables) == len(model.trainable_variables)
    before = [variable.numpy() for variable in model.optimized_variables], [variable.numpy() for variable in judge]
    model.discriminator_step(given, weights)
    for variable, value in zip(model.optimized_variables, before[0], strict=True):
        np.testing.assert_array_equal(variable, value)
    assert all((variable.numpy() != value).any() for variable, value in zip(judge, before[1], strict=True))


def test_a_discriminator_learns_to_tell_taken_items_from_generated_ones(positives: DatasetSpec) -> None:
    model = new_model(CGAN, {**SMALL, "dropout": 0.0}, positives)
    model.discriminator_optimizer.learning_rate = 0.01
    given, _, weights = next(iter(inputs(model, positives)))
    step = tf.function(lambda: model.discriminator_step(given, weights))
    shares = []
    for _ in range(120):
        model.reset_metrics()
        step()
        shares.append(float(model._health["discriminator_accuracy"].result()))
    assert shares[-1] > max(0.75, shares[0] + 0.1)


def test_the_noise_moves_what_is_generated_and_the_seed_decides_it(positives: DatasetSpec) -> None:
    model = new_model(CGAN, SMALL, positives)
    rows = held_out(model, positives)
    drawn = model.encode_users(rows).numpy()
    assert drawn.shape == (len(rows["user_id"]), 5, 8)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=-1), 1.0, rtol=1e-5)
    assert np.abs(drawn[:, 0] - drawn[:, 1]).max() > 1e-3
    np.testing.assert_array_equal(model.encode_users(rows), drawn)
    other = CGAN.from_config({**model.get_config(), "config": {**model.config.to_dict(), "draw_seed": 1}})
    for own, theirs in zip(other.weights, model.weights, strict=True):
        own.assign(theirs)
    assert np.abs(other.encode_users(rows).numpy() - drawn).max() > 1e-3


def test_a_draw_has_one_vote_that_near_items_share(positives: DatasetSpec) -> None:
    model = new_model(CGAN, SMALL, positives)
    matcher, rows = CatalogueMatcher(model, positives), held_out(model, positives)
    drawn, vectors = model.encode_users(rows).numpy().astype(np.float64), matcher._vectors.numpy()
    votes = np.exp(drawn @ vectors.T / model.config.bandwidth)
    shared = (votes / votes.sum(axis=2, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(matcher.score(rows), np.log(shared), rtol=1e-4, atol=1e-4)
    listed = np.tile(vectors, (len(drawn), 1, 1))
    np.testing.assert_allclose(
        model.match(drawn.astype(np.float32), listed), np.log(votes.mean(axis=1)), rtol=1e-4, atol=1e-4
    )


def test_a_narrow_vote_is_for_the_nearest_item_alone(positives: DatasetSpec) -> None:
    model = new_model(CGAN, {**SMALL, "bandwidth": 1e-4}, positives)
    matcher, rows = CatalogueMatcher(model, positives), held_out(model, positives)
    nearest = np.argmax(model.encode_users(rows).numpy() @ matcher._vectors.numpy().T, axis=2)
    shares = np.exp(matcher.score(rows).numpy())
    for row, items in enumerate(nearest):
        assert set(np.flatnonzero(shares[row] > 0.1)) <= set(items)
        assert shares[row, items].min() > 0.1


def test_users_of_whom_nothing_is_known_are_drawn_for_alike(positives: DatasetSpec) -> None:
    model = new_model(CGAN, SMALL, positives)
    rows = held_out(model, positives)
    nobody = {name: np.zeros_like(value) for name, value in rows.items()}
    nobody |= {name: np.full_like(rows[name], OOV) for name in ("user_id", "gender")}
    scores = CatalogueMatcher(model, positives).score(nobody).numpy()
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, scores[:1].repeat(len(scores), axis=0), rtol=1e-5, atol=1e-5)
    assert np.ptp(scores[0]) > 0, "and they have a ranking"


def test_collapse_and_saturation_are_warned_of(positives: DatasetSpec) -> None:
    model = new_model(CGAN, {**SMALL, "dropout": 0.0}, positives)
    given, _, weights = next(iter(inputs(model, positives)))
    kernel = model.generator._dense[0].kernel
    kernel.assign(10.0 * kernel)
    model.discriminator_step(given, weights)
    assert model.warnings() == []
    # The noise is not read: its rows of the first layer are zero.
    kernel.assign(tf.concat([kernel[:8], tf.zeros_like(kernel[8:])], axis=0))
    model.discriminator_optimizer.learning_rate = 0.05
    step = tf.function(lambda: model.discriminator_step(given, weights))
    for _ in range(200):
        step()
    model.reset_metrics()
    model.discriminator_step(given, weights)
    collapse, saturation = model.warnings()
    assert "mode collapse: two draws for a user are 0.000 apart" in collapse
    assert "the discriminator is right in" in saturation


@pytest.mark.parametrize(
    "wrong",
    [{"adversarial_weight": 0.0}, {"objective": "pointwise"}, {"draws": 0}, {"noise_dim": 0}, {"bandwidth": 0.0}],
)
def test_a_wrong_configuration_is_refused(wrong: dict, positives: DatasetSpec) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CGAN.from_spec(positives, {**SMALL, **wrong})


def test_a_reloaded_model_draws_and_plays_on(positives: DatasetSpec, tmp_path: Path) -> None:
    model = new_model(CGAN, SMALL, positives)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    rows = held_out(model, positives)
    np.testing.assert_array_equal(loaded.encode_users(rows), model.encode_users(rows))
    loaded.compile(optimizer=keras.optimizers.Adam(1e-2))
    given, targets, weights = next(iter(inputs(model, positives)))
    losses = [float(each.train_step((given, targets, weights))["loss"]) for each in (loaded, model)]
    assert np.isfinite(losses).all()

"""SeqGAN keeps the contract of every model, with its game and without; what is special about it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import inputs, new_model, random_histories, run_model_contract
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.losses.next_item import negative_log_likelihood
from tfrec_zoo.models.seqgan import SeqGAN

SMALL: dict[str, Any] = {
    "dim": 16,
    "units": 16,
    "max_length": 12,
    "continuation": 4,
    "samples": 2,
    "discriminator_dim": 8,
    "widths": [1, 3],
    "filters": [8, 8],
    "dropout": 0.1,
}


def test_contract_without_the_game(spec: DatasetSpec, tmp_path: Path) -> None:
    run_model_contract(SeqGAN, {**SMALL, "adversarial_weight": 0.0}, spec, tmp_path)


@pytest.mark.slow
def test_contract_with_the_game(spec: DatasetSpec, tmp_path: Path) -> None:
    config = {**SMALL, "adversarial_weight": 0.5, "reconstruction_weight": 0.1}
    run_model_contract(SeqGAN, config, spec, tmp_path)


@pytest.mark.slow
def test_both_players_train_and_the_policy_follows(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, {**SMALL, "reconstruction_weight": 0.5, "adversarial_after": 1}, spec)
    players = {"generator": model.generator, "discriminator": model.discriminator, "policy": model.rollout_policy}
    before = {name: [weight.numpy() for weight in player.weights] for name, player in players.items()}
    step = tf.function(model.train_step)
    for batch in inputs(model, spec).take(2):
        step(batch)
    for name, player in players.items():
        changed = [(one != other.numpy()).any() for one, other in zip(before[name], player.weights, strict=True)]
        assert all(changed), name
    assert [int(optimizer.iterations) for optimizer in model.optimizers] == [2, 2]


def test_short_histories_do_not_play(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, SMALL, spec)
    history = random_histories(spec, 8, model.history_length + 3)
    game = model.play(history, tf.constant([0, 5]))
    plays = history[:, -model.config.continuation - 1] != PAD
    assert 0 < plays.sum() < 8
    np.testing.assert_array_equal(game.weights.numpy() > 0, plays)
    np.testing.assert_array_equal(game.real, history[:, -4:])
    assert game.written.shape == game.rewards.shape == (8, 4)
    assert ((game.rewards.numpy() > 0) & (game.rewards.numpy() < 1)).all()
    assert np.isfinite(model.policy_loss(game))


def test_before_the_game_begins_nothing_is_rewarded(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, {**SMALL, "baseline": False}, spec)
    game = model.play(random_histories(spec, 8, 13), tf.constant([0, 5]), judged=tf.constant(False))
    assert float(model.policy_loss(game)) == 0


def test_without_the_game_there_is_no_discriminator(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, {**SMALL, "adversarial_weight": 0.0, "reconstruction_weight": 0.5}, spec)
    assert model.count_params() == model.generator.count_params()
    given, targets, _ = next(iter(inputs(model, spec)))
    table = model.generator.embedding.item_embeddings.numpy()
    logits = model.generator.logits(given["item_ids"])
    distance = ((tf.nn.softmax(logits).numpy() @ table[FIRST_ITEM_ID:] - table[targets]) ** 2).sum(axis=-1)
    wanted = negative_log_likelihood(logits, targets) + 0.5 * distance
    np.testing.assert_allclose(model.target_losses(given, targets, training=True), wanted, rtol=1e-5)


def test_writing_is_of_the_latest_items_and_greedy_at_temperature_0(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, SMALL, spec)
    history = np.random.default_rng(0).integers(FIRST_ITEM_ID, 40, (6, 30)).astype(np.int32)
    written = model.generate(history, 2, 5, seed=7).numpy()
    assert written.shape == (6, 2, 5)
    np.testing.assert_array_equal(written, model.generate(history[:, -12:], 2, 5, seed=7))
    assert (written != model.generate(history, 2, 5, seed=8).numpy()).any()
    greedy = model.generate(history, 1, 1, seed=7, temperature=0.0).numpy()
    np.testing.assert_array_equal(greedy[:, 0, 0], FIRST_ITEM_ID + np.argmax(model.score(history), axis=1))


def test_collapse_and_saturation_are_warned_of(spec: DatasetSpec) -> None:
    model = new_model(SeqGAN, SMALL, spec)
    history = np.random.default_rng(0).integers(FIRST_ITEM_ID, 40, (16, 13)).astype(np.int32)
    model.discriminator_step(model.play(history, tf.constant([0, 5])))
    assert model.warnings() == []
    model.reset_metrics()
    bias = np.full(spec.catalog_size, -20.0, np.float32)
    bias[0] = 20.0  # one item and no other
    model.generator.projection.bias.assign(bias)
    game = model.play(history, tf.constant([0, 5]))
    model.discriminator_optimizer.learning_rate = 0.05
    for _ in range(30):
        model.discriminator_step(game)
    model._health["discriminator_accuracy"].reset_state()
    model.discriminator_step(game)
    collapse, saturation = model.warnings()
    assert "mode collapse: 2.1% of the pairs" in collapse
    assert "right in 100.0%" in saturation


@pytest.mark.parametrize(
    "wrong", [{"continuation": 13}, {"widths": [1, 13]}, {"filters": [8]}, {"samples": 0}, {"rollout_rate": 1.5}]
)
def test_a_wrong_configuration_is_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        SeqGAN(40, {**SMALL, **wrong})


def test_a_reloaded_model_plays_on(spec: DatasetSpec, tmp_path: Path) -> None:
    model = new_model(SeqGAN, SMALL, spec)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    history, seed = random_histories(spec, 8, 13), tf.constant([0, 5])
    np.testing.assert_array_equal(loaded.play(history, seed).rewards, model.play(history, seed).rewards)

"""The contract that every model of the zoo keeps; a model's test calls `run_model_contract` and adds its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.data.sequences import training_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD, DatasetSpec
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.export.gate import compare, live_answers, replay_in_session
from tfrec_zoo.export.golden_requests import golden_requests
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.recommender import SCORES_CATALOGUE, Recommender
from tfrec_zoo.training.strategy import mirrored

BATCH = 16

Inputs = Callable[..., tf.data.Dataset]
"""From a model, a dataset and perhaps a seed to endless batches that `fit` takes."""


def run_model_contract(model_class: type[Recommender], config: dict[str, Any], spec: DatasetSpec, folder: Path) -> None:
    """Checks everything that training, evaluation and export rely on.

    Args:
        model_class: The model.
        config: Values of its configuration: small, and with dropout, so that determinism is tested.
        spec: A small dataset.
        folder: Scratch folder.
    """
    _builds_from_its_config(model_class, config, spec)
    model = learns_and_is_deterministic(model_class, config, spec, inputs)
    _reloads_to_equal_outputs(model, folder / "model.keras", spec)
    if SCORES_CATALOGUE in model.capabilities:
        _padding_and_company_change_nothing(model, spec)
        Evaluator(model, spec, ks=(1,))()
    _answers_the_same_in_a_session(model, spec, folder / "saved_model")
    mirrored_equals_single_device(model_class, config, spec, inputs)


def new_model(
    model_class: type[Recommender], config: dict[str, Any], spec: DatasetSpec, optimizer: str = "adam", seed: int = 0
) -> Recommender:
    """A compiled model with seeded weights."""
    keras.utils.set_random_seed(seed)
    model = model_class.from_spec(spec, config)
    rate = {"adam": 1e-2, "sgd": 0.1}[optimizer]
    model.compile(optimizer=keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate}}))
    return model


def inputs(model: Recommender, spec: DatasetSpec, seed: int = 0) -> tf.data.Dataset:
    """Endless batches that `fit` takes."""
    return training_batches(spec, BATCH, model.history_length, seed=seed).map(model.training_inputs)


def random_histories(spec: DatasetSpec, rows: int, length: int) -> np.ndarray:
    """Right-aligned histories of 0 to `length` items; int32 (rows, length)."""
    rng = np.random.default_rng(0)
    history = rng.integers(FIRST_ITEM_ID, FIRST_ITEM_ID + spec.catalog_size, (rows, length)).astype(np.int32)
    history[np.arange(length) < length - rng.integers(0, length + 1, (rows, 1))] = PAD
    return history


def _builds_from_its_config(model_class: type[Recommender], config: dict[str, Any], spec: DatasetSpec) -> None:
    assert issubclass(model_class.config_class, Config)
    model = model_class.from_spec(spec, config)
    again = model_class.from_config(model.get_config())
    assert again.config == model.config
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    assert model.count_params() == sum(int(np.prod(weight.shape)) for weight in model.weights)


def learns_and_is_deterministic(
    model_class: type[Recommender], config: dict[str, Any], spec: DatasetSpec, inputs: Inputs, fall: float = 0.7
) -> Recommender:
    """A batch is learned by heart until a share `fall` of its loss is left; equal seeds give equal weights."""
    tiny = inputs(new_model(model_class, config, spec), spec).take(1).repeat()
    model = new_model(model_class, config, spec)
    losses = model.fit(tiny, epochs=4, steps_per_epoch=15, verbose=0).history["loss"]
    assert losses[-1] < fall * losses[0], f"the loss must fall on a tiny batch: {losses}"

    runs = []
    for seed in (0, 0, 1):
        model = new_model(model_class, config, spec, seed=seed)
        history = model.fit(inputs(model, spec, seed), epochs=2, steps_per_epoch=4, verbose=0).history["loss"]
        runs.append((history, [weight.numpy() for weight in model.trainable_weights]))
    (losses, weights), (same_losses, same_weights), (other_losses, _) = runs
    assert losses == same_losses, "the same seed gives the same losses"
    for one, same in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, same)
    assert other_losses != losses
    return model


def _reloads_to_equal_outputs(model: Recommender, path: Path, spec: DatasetSpec) -> None:
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    if SCORES_CATALOGUE in model.capabilities:
        history = random_histories(spec, 5, 9)
        np.testing.assert_array_equal(loaded.score(history), model.score(history))


def _padding_and_company_change_nothing(model: Recommender, spec: DatasetSpec) -> None:
    history = random_histories(spec, 12, model.history_length + 5)
    scores = model.score(history).numpy()
    assert scores.shape == (12, spec.catalog_size)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    wider = np.pad(history, [[0, 0], [7, 0]])
    np.testing.assert_allclose(model.score(wider), scores, rtol=1e-5, atol=1e-5, err_msg="more padding")
    for row in range(len(history)):
        alone = model.score(history[row : row + 1]).numpy()
        np.testing.assert_allclose(alone[0], scores[row], rtol=1e-5, atol=1e-5, err_msg="other users in the batch")
    again = model.score(history).numpy()
    np.testing.assert_array_equal(again, scores, err_msg="scoring has no randomness")


def _answers_the_same_in_a_session(model: Recommender, spec: DatasetSpec, path: Path) -> None:
    catalogue = ItemCatalogue.of_dataset(spec)
    servable = Servable(model, catalogue, max_k=10)
    servable.save(str(path))
    requests = golden_requests(spec, catalogue, servable.signatures, users=8, limits=servable.limits)
    assert {request["signature"] for request in requests} == set(servable.signatures)
    compare(requests, live_answers(servable, requests), replay_in_session(path, requests))


def mirrored_equals_single_device(
    model_class: type[Recommender], config: dict[str, Any], spec: DatasetSpec, inputs: Inputs, rounding: float = 1e-6
) -> None:
    """The same global batches, dropout off, SGD: equal losses and weights on one device and on two replicas."""
    config = {**config, "dropout": 0.0}
    losses, weights = [], []
    for strategy in (tf.distribute.get_strategy(), mirrored()):
        with strategy.scope():
            model = new_model(model_class, config, spec, optimizer="sgd")
        history = model.fit(inputs(model, spec), epochs=3, steps_per_epoch=2, verbose=0).history
        losses.append(history["loss"])
        weights.append([weight.numpy() for weight in model.trainable_weights])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=100 * rounding, atol=rounding)

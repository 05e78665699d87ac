"""The contract that every model of features keeps, two towers and rankers alike."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.models.model_contract import new_model
from tfrec_zoo.data.interactions import evaluation_batches, training_batches
from tfrec_zoo.dataset_spec import OOV, PAD, DatasetSpec
from tfrec_zoo.evaluation.catalogue_matching import item_inputs
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.training.strategy import mirrored

BATCH = 32


def run_feature_model_contract(
    model_class: type[FeatureRecommender],
    config: dict[str, Any],
    spec: DatasetSpec,
    folder: Path,
    fall: float = 0.7,
    rounding: float = 1e-6,
) -> None:
    """Checks what training, evaluation and export rely on.

    Args:
        model_class: The model.
        config: Values of its configuration: small, and with dropout, so that determinism is tested.
        spec: A small dataset.
        folder: Scratch folder.
        fall: What must be left of the loss at most after a batch was learned by heart.
        rounding: Of weights on two replicas beside one. Batch norm over replicas takes the variance as a difference of
            moments, and where it is small its rounding is not: six steps brought 7e-6 (4e-5 over the cosine of DSSM),
            where without batch norm they brought 6e-8.
    """
    model = _learns_and_is_deterministic(model_class, config, spec, fall)
    _builds_and_reloads(model, folder / "model.keras", spec)
    _company_padding_and_gaps_change_nothing(model, spec)
    _candidates_are_scored_as_rows_are(model, spec)
    _mirrored_equals_single_device(model_class, config, spec, rounding)


def inputs(model: FeatureRecommender, spec: DatasetSpec, seed: int = 0) -> tf.data.Dataset:
    """Endless batches that `fit` takes."""
    return training_batches(spec, BATCH, model.history_length, seed=seed).map(model.training_inputs)


def held_out(model: FeatureRecommender, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """The columns of some held-out rows."""
    batch = next(iter(evaluation_batches(spec, "test", BATCH, model.history_length)))
    return {name: value.numpy() for name, value in model.inputs(batch).items()}


def _learns_and_is_deterministic(
    model_class: type[FeatureRecommender], config: dict[str, Any], spec: DatasetSpec, fall: float
) -> FeatureRecommender:
    model = new_model(model_class, config, spec)
    tiny = inputs(model, spec).take(1).repeat()
    losses = model.fit(tiny, epochs=4, steps_per_epoch=15, verbose=0).history["loss"]
    assert losses[-1] < fall * losses[0], f"the loss must fall on a tiny batch: {losses}"
    runs = []
    for seed in (0, 0, 1):
        again = new_model(model_class, config, spec, seed=seed)
        history = again.fit(inputs(again, spec, seed), epochs=2, steps_per_epoch=4, verbose=0).history["loss"]
        runs.append((history, [weight.numpy() for weight in again.trainable_weights]))
    (losses, weights), (same_losses, same_weights), (other_losses, _) = runs
    assert losses == same_losses, "the same seed gives the same losses"
    for one, same in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, same)
    assert other_losses != losses
    return model


def _builds_and_reloads(model: FeatureRecommender, path: Path, spec: DatasetSpec) -> None:
    again = type(model).from_config(model.get_config())
    assert (again.config, again.columns) == (model.config, model.columns)
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded) is type(model)
    rows = held_out(model, spec)
    np.testing.assert_array_equal(loaded(rows), model(rows))
    assert type(model).of_size(50).count_params() > 0


def _company_padding_and_gaps_change_nothing(model: FeatureRecommender, spec: DatasetSpec) -> None:
    rows = held_out(model, spec)
    logits = model(rows, training=False).numpy()
    assert logits.shape == (BATCH,)
    assert logits.dtype == np.float32
    for row in range(0, BATCH, 7):
        alone = model({name: value[row : row + 1] for name, value in rows.items()}, training=False)
        np.testing.assert_allclose(alone[0], logits[row], rtol=1e-4, atol=1e-5, err_msg="other rows in the batch")
    if "genres" in rows:
        wider = {**rows, "genres": np.pad(rows["genres"], [[0, 0], [0, 3]])}
        np.testing.assert_allclose(model(wider, training=False), logits, rtol=1e-4, atol=1e-5, err_msg="padding")
    unknown = {
        name: np.full_like(value, OOV if value.ndim == 1 else PAD) if value.dtype == np.int32 else np.zeros_like(value)
        for name, value in rows.items()
    }
    answers = model(unknown, training=False).numpy()
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(answers, answers[0], rtol=1e-5, err_msg="of nobody the same is known")


def _candidates_are_scored_as_rows_are(model: FeatureRecommender, spec: DatasetSpec) -> None:
    """Items encoded once, without any user, and gathered for each: what a cache of item representations does."""
    rows, catalogue = held_out(model, spec), item_inputs(model, spec)
    users = {column.name: rows[column.name] for column in model.columns.user}
    encoded = model.encode_items({name: tf.constant(value) for name, value in catalogue.items()}, training=False)
    columns = np.random.default_rng(0).integers(0, spec.catalog_size, (BATCH, 5))
    candidates = tf.nest.map_structure(lambda values: tf.gather(values, columns), encoded)
    scores = model.match(model.encode_users(users, training=False), candidates, training=False)
    for place in range(5):
        pairs = {**users, **{name: value[columns[:, place]] for name, value in catalogue.items()}}
        np.testing.assert_allclose(scores[:, place], model(pairs, training=False), rtol=1e-4, atol=1e-4)


def _mirrored_equals_single_device(
    model_class: type[FeatureRecommender], config: dict[str, Any], spec: DatasetSpec, rounding: float
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

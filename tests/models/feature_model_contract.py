"""The contract that every model of features keeps, two towers and rankers alike."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.models.model_contract import learns_and_is_deterministic, mirrored_equals_single_device
from tfrec_zoo.data.interactions import evaluation_batches, training_batches
from tfrec_zoo.dataset_spec import OOV, PAD, DatasetSpec
from tfrec_zoo.evaluation.catalogue_matching import item_inputs
from tfrec_zoo.models.feature_recommender import FeatureRecommender

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
    model = learns_and_is_deterministic(model_class, config, spec, inputs, fall)
    _builds_and_reloads(model, folder / "model.keras", spec)
    _company_padding_and_gaps_change_nothing(model, spec)
    _candidates_are_scored_as_rows_are(model, spec)
    mirrored_equals_single_device(model_class, config, spec, inputs, rounding)


def inputs(model: FeatureRecommender, spec: DatasetSpec, seed: int = 0) -> tf.data.Dataset:
    """Endless batches that `fit` takes."""
    return training_batches(spec, BATCH, model.history_length, seed=seed).map(model.training_inputs)


def held_out(model: FeatureRecommender, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """The columns of some held-out rows."""
    batch = next(iter(evaluation_batches(spec, "test", BATCH, model.history_length)))
    return {name: value.numpy() for name, value in model.inputs(batch).items()}


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

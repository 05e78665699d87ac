"""The training step that all models share: sparse gradients, parts of a batch, precision."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import inputs, new_model
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.losses.catalogue import gbce_power
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.sasrec import SASRec
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.optimizers import make_optimizer

CONFIG = {"dim": 16, "blocks": 1, "heads": 2, "max_length": 12, "dropout": 0.0, "negatives": 5}
MODELS = pytest.mark.parametrize("model_class", [Bert4Rec, SASRec])


def compiled(
    spec: DatasetSpec, config: dict, training: TrainingConfig, model_class: type[Recommender] = SASRec
) -> Recommender:
    keras.utils.set_random_seed(0)
    model = model_class.from_spec(spec, {**CONFIG, **config}, dtype=training.precision)
    model.compile(optimizer=make_optimizer(training, 1000))
    model.accumulate_steps = training.accumulate_steps
    model.optimizer.build(model.trainable_variables)
    return model


def trained(model: Recommender, batches: tf.data.Dataset, steps: int) -> tuple[list[float], list[np.ndarray]]:
    """Loss of every step, and the weights after them."""
    step, losses = tf.function(model.train_step), []
    for batch in batches.take(steps):
        model.reset_metrics()
        losses.append(float(step(batch)["loss"]))
    return losses, [weight.numpy() for weight in model.trainable_weights]


def given_gradients(model: Recommender, batch: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a step hands to the optimizer, by the name of the weight."""
    given: dict[str, Any] = {}

    def apply(gradients: list, variables: list) -> None:
        given.update({variable.path: gradient for variable, gradient in zip(variables, gradients, strict=True)})

    monkeypatch.setattr(model.optimizer, "apply", apply)
    tf.function(model.train_step).get_concrete_function(batch)
    return given


@MODELS
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce"])
def test_sampled_losses_touch_few_rows_of_the_table(
    model_class: type[Recommender], loss: str, precision: str, spec: DatasetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = TrainingConfig(optimizer="lazy_adam", precision=precision, accumulate_steps=2)
    model = compiled(spec, {"loss": loss}, training, model_class)
    given = given_gradients(model, next(iter(inputs(model, spec))), monkeypatch)
    sparse = {name for name, gradient in given.items() if isinstance(gradient, tf.IndexedSlices)}
    table, bias = model.backbone.embedding.item_embeddings, model.projection.bias
    assert sparse == {table.path, bias.path}
    assert {given[path].values.dtype for path in sparse} == {tf.float32}


def test_keras_optimizers_get_dense_gradients(spec: DatasetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model(SASRec, {**CONFIG, "loss": "sampled_softmax"}, spec)
    given = given_gradients(model, next(iter(inputs(model, spec))), monkeypatch)
    assert not [name for name, gradient in given.items() if isinstance(gradient, tf.IndexedSlices)]


@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce"])
def test_adam_of_keras_and_ours_train_a_sampled_loss_alike(spec: DatasetSpec, loss: str) -> None:
    results = []
    for optimizer in (keras.optimizers.Adam(0.01), make_optimizer(TrainingConfig(learning_rate=0.01), 1)):
        model = compiled(spec, {"loss": loss}, TrainingConfig())
        model.compile(optimizer=optimizer)
        results.append(trained(model, inputs(model, spec), 5))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("model_class", "loss"), [(Bert4Rec, "softmax"), (SASRec, "chunked_softmax")])
def test_parts_of_a_batch_add_up_to_it(model_class: type[Recommender], loss: str, spec: DatasetSpec) -> None:
    """16 rows in 1 and in 3 parts, whose targets are not equally many."""
    results = []
    for parts in (1, 3):
        training = TrainingConfig(optimizer="sgd", learning_rate=0.1, batch_size=16, accumulate_steps=parts)
        model = compiled(spec, {"loss": loss}, training, model_class)
        results.append(trained(model, inputs(model, spec), 4))
    for losses, weights in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-5)
        for one, other in zip(weights, results[0][1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_parts_are_computed_one_after_the_other(spec: DatasetSpec) -> None:
    """In the graph, every part's batch waits for the gradients of the part before."""
    model = compiled(spec, {}, TrainingConfig(accumulate_steps=3, batch_size=16))
    batches = inputs(model, spec)
    graph = tf.function(model.train_step, input_signature=[batches.element_spec]).get_concrete_function().graph
    waiting = [node for node in graph.get_operations() if node.type == "Identity" and len(node.control_inputs) > 5]
    assert len(waiting) >= 2 * 3, "two later parts, each with inputs, targets and weights"


@pytest.mark.parametrize(("precision", "loss"), [("mixed_bfloat16", "sampled_softmax"), ("mixed_float16", "softmax")])
def test_16_bits_train_close_to_32(spec: DatasetSpec, precision: str, loss: str, tmp_path: Path) -> None:
    results = {}
    for chosen in ("float32", precision):
        training = TrainingConfig(optimizer="lazy_adam", learning_rate=0.01, clip_norm=1.0, precision=chosen)
        model = compiled(spec, {"loss": loss, "negatives": 30}, training)
        results[chosen] = trained(model, inputs(model, spec), 30)[0]
    assert {weight.dtype for weight in model.weights if "seed" not in weight.path} == {"float32"}
    assert model.backbone.blocks[0].compute_dtype == precision.removeprefix("mixed_")
    assert keras.config.dtype_policy().name == "float32", "the policy of other models stays"
    np.testing.assert_allclose(results[precision], results["float32"], rtol=0.03)
    assert results[precision][-1] < 0.9 * results[precision][0]

    history = tf.constant(next(iter(inputs(model, spec)))[0]["item_ids"])
    scores = model.score(history)
    assert scores.dtype == tf.float32
    assert len(np.unique(scores[0])) == spec.catalog_size, "no ties by rounding"
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.backbone.blocks[0].compute_dtype == "float32", "a saved model computes in float32"
    np.testing.assert_allclose(loaded.score(history), scores, atol=0.1)


def test_a_step_that_overflows_is_left_out_and_the_scale_halved(spec: DatasetSpec) -> None:
    training = TrainingConfig(optimizer="lazy_adam", precision="mixed_float16")
    model = compiled(spec, {"loss": "sampled_softmax"}, training)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.optimizer.dynamic_scale.assign(2.0**40)
    losses, weights = trained(model, inputs(model, spec), 1)
    assert np.isfinite(losses).all()
    for one, other in zip(weights, before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(model.optimizer.dynamic_scale.value) == 2.0**39
    model.optimizer.dynamic_scale.assign(2.0**10)
    _, weights = trained(model, inputs(model, spec), 1)
    assert all(np.isfinite(weight).all() for weight in weights)
    assert (weights[0] != before[0]).any()


@MODELS
def test_an_untrained_model_knows_what_is_popular(model_class: type[Recommender], spec: DatasetSpec) -> None:
    bias = model_class.from_spec(spec, CONFIG).projection.bias.numpy()
    counts = np.array(spec.item_counts)
    np.testing.assert_allclose(bias[0] - bias[-1], np.log((1 + counts[0]) / (1 + counts[-1])), rtol=1e-5)
    assert np.exp(bias).mean() == pytest.approx(1.0, rel=1e-5)
    assert len(np.unique(bias)) == len(np.unique(counts)) > 1


@MODELS
def test_the_start_of_gbce_balances_hits_and_negatives(model_class: type[Recommender], spec: DatasetSpec) -> None:
    config = {**CONFIG, "loss": "gbce", "negatives": 3}
    hit_chance = 1.0 / (1.0 + np.exp(-model_class.from_spec(spec, config).projection.bias.numpy()))
    counts = np.array(spec.item_counts) + 1.0
    power = gbce_power(3, spec.catalog_size, 0.75)
    # Gradients of an item's bias: of its share of the targets, and of its share of the uniform negatives.
    np.testing.assert_allclose(
        counts / counts.sum() * power * (1 - hit_chance), 3 / spec.catalog_size * hit_chance, rtol=1e-5
    )

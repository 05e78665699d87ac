import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import new_model
from tfrec_zoo.data.sequences import training_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.models.sasrec import SASRec
from tfrec_zoo.models.sequence_recommender import SequenceRecommender

CONFIG = {"dim": 16, "max_length": 6, "dropout": 0.0}


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("model_class", [Bert4Rec, SASRec])
def test_known_items_beyond_the_window_are_negatives_only_where_they_may_be(
    model_class: type[SequenceRecommender], exclude: bool, spec: DatasetSpec
) -> None:
    model = new_model(model_class, {**CONFIG, "exclude_known": exclude}, spec)
    batch = next(iter(training_batches(spec, 1, model.history_length)))
    window, whole = set(batch["history"].numpy()[0]), set(batch["items"].numpy()[0])
    beyond = sorted(item - FIRST_ITEM_ID for item in whole - window if item >= FIRST_ITEM_ID)
    assert beyond, "the case needs a history longer than the window"
    inputs, targets, _ = model.training_inputs(batch)
    before = model.target_losses(inputs, targets, False).numpy()
    bias = model.projection.bias.numpy()
    bias[beyond] += 5.0
    model.projection.bias.assign(bias)
    after = model.target_losses(inputs, targets, False).numpy()
    if exclude:
        np.testing.assert_allclose(after, before, rtol=1e-5)
    else:
        assert (after > before + 0.1).all()


@pytest.mark.parametrize("model_class", [Bert4Rec, SASRec])
def test_training_without_known_negatives_learns(model_class: type[SequenceRecommender], spec: DatasetSpec) -> None:
    model = new_model(model_class, {**CONFIG, "exclude_known": True}, spec)
    batches = training_batches(spec, 32, model.history_length, length_buckets=2).map(model.training_inputs)
    model.optimizer.learning_rate = 0.01
    losses = model.fit(batches, epochs=3, steps_per_epoch=20, verbose=0).history["loss"]
    assert tf.math.is_finite(losses[-1])
    assert losses[-1] < 0.95 * losses[0]

"""Training as a Keras user does: compile, fit, callbacks."""

from pathlib import Path

import keras
import pytest

from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import inputs, new_model
from tfrec_zoo import Bert4Rec, DatasetSpec, Evaluator, RankingValidation


def test_callbacks_monitor_the_ranking_on_valid(spec: DatasetSpec, tmp_path: Path) -> None:
    model = new_model(Bert4Rec, CONFIG, spec)
    best = tmp_path / "best.keras"
    callbacks = [
        RankingValidation(spec),
        keras.callbacks.ModelCheckpoint(best, monitor="val_ndcg@10", mode="max", save_best_only=True),
        keras.callbacks.EarlyStopping(monitor="val_ndcg@10", mode="max", patience=3),
    ]
    history = model.fit(inputs(model, spec), epochs=5, steps_per_epoch=4, callbacks=callbacks, verbose=0).history
    reached = Evaluator(keras.saving.load_model(best), spec, split="valid", filter_seen=True, ks=(10,))().metrics
    assert max(history["val_ndcg@10"]) == pytest.approx(reached["ndcg@10"])


def test_validation_every_other_epoch_repeats_the_last_figures(spec: DatasetSpec) -> None:
    model = new_model(Bert4Rec, CONFIG, spec)
    history = model.fit(
        inputs(model, spec), epochs=4, steps_per_epoch=4, callbacks=[RankingValidation(spec, every=2)], verbose=0
    ).history["val_ndcg@10"]
    assert history[1] == history[2]


def test_evaluate_gives_the_loss_of_the_objective(spec: DatasetSpec) -> None:
    model = new_model(Bert4Rec, CONFIG, spec)
    loss = model.evaluate(inputs(model, spec), steps=3, verbose=0)
    assert 3 < loss < 4.5, "an untrained model is near log(40)"

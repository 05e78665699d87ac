"""An evaluation by continuations ranks as the served signature does."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import inputs, new_model, random_histories
from tests.models.seqgan_test import SMALL
from tests.training.train_test import SMALL as SMALL_RUN
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.evaluation.continuations import ContinuationScorer
from tfrec_zoo.evaluation.report import evaluate_run, print_report
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.seqgan import SeqGAN
from tfrec_zoo.preprocessing.history import seed_of
from tfrec_zoo.training.train import train


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> SeqGAN:
    model = new_model(SeqGAN, {**SMALL, "adversarial_weight": 0.0}, spec)
    model.fit(inputs(model, spec), epochs=1, steps_per_epoch=20, verbose=0)
    return model


def test_it_ranks_as_the_signature_does(model: SeqGAN, spec: DatasetSpec) -> None:
    history, items = random_histories(spec, 6, 9), np.array(["", "", "", "", *spec.vocabulary("item")], object)
    history = history[(history > 0).any(axis=1)]
    rows = len(history)
    scores = ContinuationScorer.parse("5:4:0.8:0.9", model, no_repeats=True).score(history).numpy()
    given = {
        "history": items[history],
        "n": np.full(rows, 5),
        "length": np.full(rows, 4),
        "temperature": np.full(rows, 0.8, np.float32),
        "seed": seed_of(history),
        "top_p": np.full(rows, 0.9, np.float32),
        "no_repeats": np.full(rows, True),
    }
    servable = Servable(model, ItemCatalogue.of_dataset(spec), max_k=10)
    served = servable.signatures["generate_filtered"].answer(
        {name: tf.constant(value) for name, value in given.items()}
    )
    for row, seen in enumerate(history):
        unseen = np.where(np.isin(np.arange(spec.catalog_size), seen - 4), -np.inf, scores[row])
        np.testing.assert_allclose(served["scores"][row], np.sort(unseen)[::-1][:10], rtol=1e-5)


def test_padding_and_company_change_nothing(model: SeqGAN, spec: DatasetSpec) -> None:
    history, scorer = random_histories(spec, 6, 9), ContinuationScorer(model, 4, 3)
    scores = scorer.score(history).numpy()
    alone = scorer.score(np.pad(history[4:5], [[0, 0], [3, 0]])).numpy()
    np.testing.assert_allclose(alone[0], scores[4], rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "continuations are N:LENGTH, N:LENGTH:TEMPERATURE"),
        ("8:3:1.2.3", "continuations are N:LENGTH, N:LENGTH:TEMPERATURE"),
        ("8:3:1:1:1", "continuations are N:LENGTH, N:LENGTH:TEMPERATURE"),
        ("0:3", "at least 1 continuation"),
        ("8:3:1:1.5", "top_p is a share"),
    ],
)
def test_anything_else_is_refused(model: SeqGAN, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ContinuationScorer.parse(text, model, no_repeats=True)


def test_it_stands_in_the_report(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = {**SMALL, "adversarial_weight": 0.0}
    train("seqgan", data, tmp_path / "RUN", config={**SMALL_RUN, "network": network}, quiet=True)
    report = evaluate_run(tmp_path / "RUN", data, filter_seen=True, continuations="4:3", quiet=True)
    assert report["baselines"]["continuations"]["coverage@10"] > 0
    print_report(report)
    assert "continuations" in capsys.readouterr().out

"""Training on the view of interactions, by the functions behind the command line."""

from pathlib import Path

import numpy as np
import pytest

from tfrec_zoo.data.records import WHOLE, Part
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.evaluation.comparison import compare_runs
from tfrec_zoo.evaluation.pointwise_report import evaluate_pointwise_run, learns_labels, print_pointwise_report
from tfrec_zoo.evaluation.report import evaluate_run, print_report
from tfrec_zoo.models.dssm import DSSM
from tfrec_zoo.models.ncf import NCF
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.feeds import InteractionFeed, feed_class
from tfrec_zoo.training.train import train

SMALL = ["network.dim=8", "training.batch_size=64", "training.epochs=3"]
TOWERS = [*SMALL, "network.units=[16,8]"]


def test_labels_from_training_to_the_report(rated: DatasetSpec, tmp_path: Path, capsys) -> None:
    run = tmp_path / "RUN"
    result = train("dssm", rated.directory, run, assignments=TOWERS, refit=True, quiet=True)
    assert result["best_metric"] == "valid auc"
    assert result["refit_seconds"] > 0
    assert learns_labels(run)
    report = evaluate_pointwise_run(run, rated.directory)
    assert set(report["baselines"]) == {"popularity", "two means"}
    assert report["rows"] == rated.records("interactions", "test")
    for name in ("auc", "logloss"):
        low, high = report["intervals"][name]
        assert low <= report["metrics"][name] <= high
    with pytest.raises(ConfigError, match="dssm, which gives no ranks to compare"):
        compare_runs(run, run, rated.directory, quiet=True)
    print_pointwise_report(report)
    assert "two means" in capsys.readouterr().out
    again = train("dssm", rated.directory, tmp_path / "AGAIN", assignments=TOWERS, refit=True, quiet=True)
    assert again["best_value"] == result["best_value"], "the same seed gives the same figures"


def test_retrieval_from_training_to_the_report(positives: DatasetSpec, tmp_path: Path, capsys) -> None:
    run = tmp_path / "RUN"
    assignments = [*TOWERS, "network.objective=retrieval", "training.epochs=8"]
    result = train("dssm", positives.directory, run, assignments=assignments, quiet=True)
    assert result["best_metric"] == "valid ndcg@10"
    assert not learns_labels(run)
    report = evaluate_run(run, positives.directory, filter_seen=True, quiet=True)
    assert set(report["baselines"]) == {"popularity", "markov"}
    sequences = positives.records("sequences", "test")
    assert (report["users"], report["metrics"]["hr@20"] > 0) == (sequences, True)
    print_report(report)
    assert "popularity" in capsys.readouterr().out


def test_the_baselines_of_retrieval_are_those_of_sequences(positives: DatasetSpec, tmp_path: Path) -> None:
    """The same targets, the same seen items: popularity has the same figures from either view."""
    settings = ["network.objective=retrieval", "training.epochs=1"]
    train("dssm", positives.directory, tmp_path / "A", assignments=[*TOWERS, *settings], quiet=True)
    small = ["network.dim=8", "network.max_length=6", "training.epochs=1", "training.batch_size=16"]
    train("sasrec", positives.directory, tmp_path / "B", assignments=small, quiet=True)
    reports = [evaluate_run(tmp_path / run, positives.directory, filter_seen=True, quiet=True) for run in "AB"]
    for name in ("popularity", "markov"):
        one, two = (report["baselines"][name] for report in reports)
        assert one["ndcg@10"] == pytest.approx(two["ndcg@10"])
        assert one["mrr"] == pytest.approx(two["mrr"])


def test_a_run_that_goes_on_reads_on(rated: DatasetSpec) -> None:
    model = NCF.from_spec(rated)
    feed, config = InteractionFeed(model, rated), TrainingConfig()
    whole = list(feed.batches(config, 32, "train", 7, 0, WHOLE).take(6).as_numpy_iterator())
    later = list(feed.batches(config, 32, "train", 7, 4, WHOLE).take(2).as_numpy_iterator())
    for one, two in zip(whole[4:], later, strict=True):
        np.testing.assert_array_equal(one["item"], two["item"])
        np.testing.assert_array_equal(one["label"], two["label"])


def test_what_does_not_fit_is_said(rated: DatasetSpec, spec: DatasetSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train interactions .*--views interactions"):
        train("ncf", spec.directory, tmp_path / "RUN", quiet=True)
    with pytest.raises(DataError, match=r"training\.sharding=batch"):
        InteractionFeed(NCF.from_spec(rated), rated).batches(TrainingConfig(), 32, "train", 0, 0, Part(0, 2))
    with pytest.raises(ConfigError, match=r"training\.windows is of sequences"):
        train("ncf", rated.directory, tmp_path / "RUN", assignments=[*SMALL, "training.windows=latest"], quiet=True)
    assert feed_class(DSSM) is InteractionFeed

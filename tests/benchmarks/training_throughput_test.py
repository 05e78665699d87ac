import statistics
from pathlib import Path

import pytest
import tensorflow as tf

from tfrec_zoo.benchmarks.registry import bench
from tfrec_zoo.benchmarks.training_throughput import _short, run
from tfrec_zoo.data.sequences import training_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError


def test_a_row_for_every_length_and_way(data: Path, spec: DatasetSpec) -> None:
    rows = run(data, lengths=(8, 16), steps=4, rounds=1)
    assert [(row["length"], row["way"]) for row in rows] == [
        (length, way) for length in (8, 16) for way in ("Trainer", "model.fit")
    ]
    for row in rows:
        assert row["sequences_per_s"] > 0
        epoch = spec.records("sequences", "train") / row["sequences_per_s"]
        assert row["seconds_per_epoch"] == pytest.approx(epoch, rel=0.05, abs=0.01)
        assert (row["data_wait_share"] is None) == (row["way"] == "model.fit")
    assert rows[0]["ratio"] == rows[2]["ratio"] == 1


def test_short_histories_have_the_lengths_they_are_said_to_have(tmp_path: Path) -> None:
    spec = DatasetSpec.read(_short(tmp_path))
    histories = next(iter(training_batches(spec, spec.records("sequences", "train") // 2, 50)))["history"]
    lengths = tf.math.count_nonzero(histories, axis=1).numpy()
    assert statistics.mean(lengths) == pytest.approx(9, abs=0.6)
    assert 40 < max(lengths) <= 50


def test_an_unknown_benchmark_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no benchmark 'trian'; choose one of .*train"):
        bench("trian")

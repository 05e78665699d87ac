from pathlib import Path

import pytest

from tfrec_zoo.benchmarks.registry import bench
from tfrec_zoo.benchmarks.training_throughput import run
from tfrec_zoo.errors import ConfigError


def test_a_row_for_every_length(data: Path) -> None:
    rows = run(data, lengths=(8, 16), steps=4)
    assert [row["length"] for row in rows] == [8, 16]
    for row in rows:
        assert row["sequences_per_s"] > 0
        assert row["seconds_per_epoch"] == pytest.approx(128 / row["sequences_per_s"], rel=0.05, abs=0.01)
        assert 0 <= row["data_wait_share"] < 1


def test_an_unknown_benchmark_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no benchmark 'trian'; choose one of .*train"):
        bench("trian")

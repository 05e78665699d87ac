"""The encoder's benchmark: equal bytes or no figure."""

import pytest

from tfrec_zoo.benchmarks import encoding_cost
from tfrec_zoo.errors import ConfigError, TfrecError


def test_the_batch_encoder_is_faster_than_protobuf():
    ours, theirs = encoding_cost.run(lengths=[20], records=3000)
    assert (ours["events"], theirs["events"]) == (20, 20)
    assert ours["bytes_a_record"] == theirs["bytes_a_record"] > 20
    assert ours["times_as_fast"] > 1.2
    assert theirs["times_as_fast"] == 1


def test_different_bytes_are_no_figure(monkeypatch):
    honest = encoding_cost.frame
    monkeypatch.setattr(encoding_cost, "frame", lambda records: honest(records.take([0] * len(records))))
    with pytest.raises(TfrecError, match="disagree on records of about 5 events"):
        encoding_cost.run(lengths=[5], records=10)


def test_it_takes_no_data(tmp_path):
    with pytest.raises(ConfigError, match="leave --data out"):
        encoding_cost.run(tmp_path)

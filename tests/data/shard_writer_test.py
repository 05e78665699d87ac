import gzip
from pathlib import Path

import pytest
import tensorflow as tf

from tfrec_zoo.data import records, shard_writer
from tfrec_zoo.data.shard_writer import ShardWriter, records_digest
from tfrec_zoo.dataset_spec import DatasetSpec


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_digest_is_that_of_the_beam_job(spec: DatasetSpec, tmp_path: Path, compression: str) -> None:
    for file in spec.files:
        if file.view == "sequences":
            path = spec.directory / file.path
            if compression == "gzip":
                path = tmp_path / "packed"
                path.write_bytes(gzip.compress((spec.directory / file.path).read_bytes()))
            assert records_digest(path, compression) == file.digest


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_shards_are_full_in_order_and_alike_again(tmp_path: Path, monkeypatch, compression: str) -> None:
    monkeypatch.setattr(shard_writer, "SHARD_RECORDS", 4)
    given = [bytes([number]) * number for number in range(10)]
    listed = []
    for name in ("one", "two"):
        writer = ShardWriter(tmp_path / name, "view", "name", compression)
        for record in given:
            writer.write(record)
        listed.append(writer.finish("train", "train+valid"))
    assert listed[0] == listed[1]
    assert [file.records for file in listed[0]] == [4, 4, 4, 4, 2, 2]
    paths = [str(tmp_path / "one" / file.path) for file in listed[0] if file.split == "train"]
    assert list(records.read(paths).as_numpy_iterator()) == given
    assert [Path(path).stat().st_size for path in paths] == [file.bytes for file in listed[0] if file.split == "train"]
    for file in listed[0]:
        assert (tmp_path / "one" / file.path).read_bytes() == (tmp_path / "two" / file.path).read_bytes()


def test_records_are_shuffled_by_seed(tmp_path: Path) -> None:
    given = [bytes([number]) for number in range(20)]
    orders = []
    for seed in (0, 0, 1):
        writer = ShardWriter(tmp_path / str(len(orders)), "view", "name", shuffle_seed=seed)
        for record in given:
            writer.write(record)
        (file,) = writer.finish("train")
        path = str(tmp_path / str(len(orders)) / file.path)
        orders.append(list(tf.data.TFRecordDataset(path).as_numpy_iterator()))
    assert sorted(orders[0]) == given != orders[0]
    assert orders[0] == orders[1] != orders[2]


def test_nothing_is_no_shard(tmp_path: Path) -> None:
    assert ShardWriter(tmp_path, "view", "name").finish("train") == []

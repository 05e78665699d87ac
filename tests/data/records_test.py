"""Shards that cannot be read are errors that name the file; parts of them for several workers."""

import itertools
import shutil
from pathlib import Path

import pytest

from tfrec_zoo.data import records
from tfrec_zoo.data.records import explained
from tfrec_zoo.data.sequences import evaluation_batches, training_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.evaluator import Evaluator


class Uniform:
    """Scores everything alike."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.items = spec.catalog_size

    def score(self, history):
        import tensorflow as tf

        return tf.zeros((tf.shape(history)[0], self.items))


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> DatasetSpec:
    return DatasetSpec.read(shutil.copytree(data, tmp_path / "DATA"))


def shard(spec: DatasetSpec, split: str) -> Path:
    return Path(spec.paths("sequences", split)[-1])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_whole_shards_pass_unchanged(spec: DatasetSpec) -> None:
    batches = evaluation_batches(spec, "valid", 16)
    assert len(list(explained(batches, spec))) == len(list(batches))


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink], ids=["truncated", "flipped", "gone"])
def test_a_damaged_shard_is_named(damage, copy: DatasetSpec) -> None:
    damage(shard(copy, "train"))
    with pytest.raises(DataError, match=f"{shard(copy, 'train').name} is damaged .*run `tfrec prepare` again"):
        next(explained(training_batches(copy, 64, 8), copy))


def test_a_damaged_shard_is_named_in_evaluation_too(copy: DatasetSpec) -> None:
    flip(shard(copy, "test"))
    with pytest.raises(DataError, match=f"{shard(copy, 'test').name} is damaged"):
        Evaluator(Uniform(copy), copy, split="test", ks=(10,))()


def test_records_of_something_else_are_named(copy: DatasetSpec) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(shard(copy, "train"))) as writer:
        writer.write(b"not an example")
    with pytest.raises(DataError, match=f"{shard(copy, 'train').name} is damaged"):
        list(explained(training_batches(copy, 64, 8).take(3), copy))


def test_a_damaged_gzip_shard_is_named(log_file: Path, tmp_path: Path) -> None:
    import beam_jobs

    options = beam_jobs.PrepareOptions(
        input=(str(log_file),), output=str(tmp_path / "DATA"), compression="gzip", quiet=True
    )
    beam_jobs.prepare(options)
    spec = DatasetSpec.read(tmp_path / "DATA")
    path = shard(spec, "train")
    flip(path)
    with pytest.raises(DataError, match=f"{path.name} is damaged"):
        next(explained(training_batches(spec, 64, 8), spec))
    # TensorFlow takes a gzip file that was cut for a shorter one; the size in dataset.json tells.
    truncate(path)
    with pytest.raises(DataError, match=f"{path.name} has .* bytes, dataset.json says"):
        DatasetSpec.read(tmp_path / "DATA")


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_parts_are_all_records_once_by_shard_or_by_record(spec: DatasetSpec, workers: int) -> None:
    shards = [list(records.read([path]).as_numpy_iterator()) for path in spec.paths("sequences", "train")]
    assert len(shards) == 2
    parts = [
        list(records.read_part(spec, "sequences", "train", records.Part(index, workers)).as_numpy_iterator())
        for index in range(workers)
    ]
    assert sorted(itertools.chain(*parts)) == sorted(itertools.chain(*shards))
    assert all(parts)
    if workers == 2:
        assert parts == shards, "a worker opens its own shards alone"


def test_more_parts_than_records_are_refused(spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="60 sequences/train records, too few for 61 workers.*training.sharding=batch"):
        records.read_part(spec, "sequences", "train", records.Part(0, 61))

"""A way to write logs, run the job on them and read the records back with TensorFlow."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf

import beam_jobs
from beam_jobs.histories import Histories
from tfrec_zoo.dataset_spec import DatasetSpec


def run(inputs, output: Path, **options) -> DatasetSpec:
    inputs = (inputs,) if isinstance(inputs, str | Path) else inputs
    beam_jobs.prepare(
        beam_jobs.PrepareOptions(input=tuple(map(str, inputs)), output=str(output), quiet=True, **options)
    )
    return DatasetSpec.read(output)


def decode(example: bytes) -> dict:
    """Feature name -> list of values."""
    features = tf.train.Example.FromString(example).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}


def records(spec: DatasetSpec, split: str, compression: str = "") -> dict[str, dict]:
    """User -> record of a split; tf.data checks the CRCs."""
    if not spec.records("sequences", split):
        return {}
    dataset = tf.data.TFRecordDataset(spec.paths("sequences", split), compression_type=compression)
    decoded = [decode(example) for example in dataset.as_numpy_iterator()]
    found = {record.pop("user")[0].decode(): record for record in decoded}
    assert len(found) == len(decoded) == spec.records("sequences", split)
    return found


def decoded(spec: DatasetSpec, view: str, split: str) -> list[dict]:
    """All records of a view and split, in order."""
    if not spec.records(view, split):
        return []
    return [decode(example) for example in tf.data.TFRecordDataset(spec.paths(view, split)).as_numpy_iterator()]


def events(rows: list[tuple[str, str, int]]) -> pa.RecordBatch:
    """Accepted rows of (user, item, time), as the shuffle hands them to a partition."""
    users, items, times = zip(*rows, strict=True)
    columns = [pa.array(users).cast(pa.binary()), pa.array(items).cast(pa.binary()), pa.array(times, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, names=["user", "item", "time"])


def history_rows(histories: Histories) -> list[tuple[str, str, int]]:
    """Histories as (user, item, time)."""
    users = [user.decode() for user in histories.users.to_pylist()]
    return [
        (user, histories.items[row].as_py().decode(), int(histories.times[row]))
        for place, user in enumerate(users)
        for row in range(histories.offsets[place], histories.offsets[place + 1])
    ]


def shard_bytes(spec: DatasetSpec) -> dict[str, str]:
    """Listed file -> digest of its content."""
    return {file.path: hashlib.sha256((spec.directory / file.path).read_bytes()).hexdigest() for file in spec.files}


def tree(directory: Path) -> dict[str, bytes]:
    """Every file under a directory, with its content."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a CSV log from rows of user,item,timestamp[,rating] without their header."""

    def writer(rows: str, name: str = "log.csv", header: str = "user_id,item_id,timestamp") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{header}\n{rows}".encode())
        return path

    return writer

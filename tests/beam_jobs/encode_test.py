"""The encoder against TensorFlow's own protobuf, byte for byte."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.tfrecord import frame

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)
FLOAT = st.floats(width=32, allow_nan=False)
NAMES = st.text(min_size=1, max_size=8)


def no_name_begins_another(names: list[str]) -> bool:
    """Deterministic protobuf sorts map keys, but implementations differ here: Python's (upb) puts "ab" before "a"."""
    keys = sorted(name.encode() for name in names)
    return not any(second.startswith(first) for first, second in itertools.pairwise(keys))


@st.composite
def batches(draw):
    """Features by name: (dtype, values, windows of the records, presence)."""
    count = draw(st.integers(1, 6))
    features = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True).filter(no_name_begins_another)):
        dtype = draw(st.sampled_from(["int64", "float32", "bytes"]))
        if dtype == "bytes":
            values = draw(st.lists(st.binary(max_size=200), min_size=1, max_size=6))
            first = draw(st.lists(st.integers(0, len(values) - 1), min_size=count, max_size=count))
            windows = [(start, start + 1) for start in first]
        else:
            values = draw(st.lists(INT64 if dtype == "int64" else FLOAT, max_size=40))
            edge = st.integers(0, len(values))
            windows = [tuple(sorted((draw(edge), draw(edge)))) for _ in range(count)]
            if draw(st.booleans()):
                windows.sort()
        present = draw(st.none() | st.lists(st.booleans(), min_size=count, max_size=count))
        features[name] = (dtype, values, windows, present)
    return count, features


def ours(features) -> pa.LargeBinaryArray:
    columns = []
    for name, (dtype, values, windows, present) in features.items():
        array = pa.array(values, pa.binary()) if dtype == "bytes" else np.array(values, dtype)
        edges = np.array(windows, np.int64)
        columns.append(
            Feature(name, pack(array), edges[:, 0], edges[:, 1], None if present is None else np.array(present))
        )
    return encode_examples(columns)


def theirs(features, row: int) -> bytes:
    example = tf.train.Example()
    example.features.SetInParent()
    for name, (dtype, values, windows, present) in features.items():
        if present is not None and not present[row]:
            continue
        feature = example.features.feature[name]
        kind = {"int64": feature.int64_list, "float32": feature.float_list, "bytes": feature.bytes_list}[dtype]
        kind.SetInParent()
        kind.value.extend(values[slice(*windows[row])])
    return example.SerializeToString(deterministic=True)


@settings(max_examples=300)
@given(batches())
def test_bytes_equal_deterministic_protobuf(batch):
    count, features = batch
    assert ours(features).to_pylist() == [theirs(features, row) for row in range(count)]


def test_the_same_message_whatever_the_order_of_names():
    features = {"a": ("int64", [1], [(0, 1)], None), "ab": ("int64", [2, 3], [(0, 2)], None)}
    (record,) = ours(features).to_pylist()
    assert tf.train.Example.FromString(record) == tf.train.Example.FromString(theirs(features, 0))


def test_long_records_equal_deterministic_protobuf():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**40, 60_000).tolist()
    features = {
        "items": ("int64", values, [(0, 20_000), (20_010, 60_000)], None),
        "user": ("bytes", [b"u" * 70_000, b"v"], [(0, 1), (1, 2)], None),
    }
    assert ours(features).to_pylist() == [theirs(features, row) for row in range(2)]


def test_frames_are_read_by_tensorflow(tmp_path):
    examples = [b"", b"a", b"b" * 1000, b"b" * 1000]
    framed, checks = frame(pa.array(examples, pa.large_binary()))
    path = tmp_path / "records.tfrecord"
    path.write_bytes(framed)
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == examples
    assert len(set(checks.tolist())) == 3
    assert frame(pa.array([], pa.large_binary()))[0].size == 0


def test_a_slice_of_records_is_framed_alone():
    examples = pa.array([b"a", b"bc", b"d"], pa.large_binary())
    assert frame(examples[1:2])[0].to_pybytes() == frame(pa.array([b"bc"], pa.large_binary()))[0].to_pybytes()


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="bool"):
        pack(np.array([True]))

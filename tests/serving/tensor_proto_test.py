"""TensorProto decoding against TensorFlow's own, which `tf.io.parse_tensor` runs."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import tensors

NUMERIC = [
    tf.float32, tf.float64, tf.int32, tf.uint8, tf.int16, tf.int8, tf.complex64, tf.int64, tf.bool,
    tf.uint16, tf.complex128, tf.float16, tf.uint32, tf.uint64, tf.bfloat16,
]  # fmt: skip


def proto_of(dtype, shape, **values):
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def by_tensorflow(proto):
    return tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype)).numpy()


def test_dtypes_are_those_of_tensorflow():
    for number, dtype in tensors.DTYPES.items():
        assert tf.dtypes.as_dtype(number).as_numpy_dtype == dtype.numpy
        assert types_pb2.DataType.Name(number) == f"DT_{dtype.name.upper()}"


@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_every_dtype_as_content_and_as_values(dtype, shape):
    rng = np.random.default_rng(7)
    array = rng.uniform(0, 100, size=shape)
    array = (array > 50 if dtype == tf.bool else np.asarray(array)).astype(dtype.as_numpy_dtype)
    values = tensor_pb2.TensorProto()
    tensors.encode(array, values)
    content = proto_of(dtype.as_datatype_enum, shape, tensor_content=array.tobytes())
    for proto in (values, content, tf.make_tensor_proto(array)):
        decoded = tensors.decode(proto)
        assert decoded.dtype == array.dtype
        np.testing.assert_array_equal(decoded, array)
        np.testing.assert_array_equal(decoded, by_tensorflow(proto))


def test_negative_small_ints_and_extreme_values():
    for array in (
        np.array([-128, 127], np.int8),
        np.array([-(2**15)], np.int16),
        np.array([2**63 - 1, -(2**63)], np.int64),
        np.array([2**64 - 1], np.uint64),
        np.array([np.inf, np.nan, -0.0], np.float16),
        np.array([np.inf, np.nan, np.finfo(np.float32).min], np.float32),
    ):
        proto = tensor_pb2.TensorProto()
        tensors.encode(array, proto)
        np.testing.assert_array_equal(tensors.decode(proto), array)
        np.testing.assert_array_equal(by_tensorflow(proto), array)


@pytest.mark.parametrize(
    "proto",
    [
        proto_of(3, [5], int_val=[4]),
        proto_of(3, [5], int_val=[1, 2]),
        proto_of(3, [2, 2]),
        proto_of(3, [2], int_val=[1, 2, 3, 4]),
        proto_of(1, [3], float_val=[0.5]),
        proto_of(19, [3], half_val=[15360, 16384]),
        proto_of(14, [3], half_val=[16256]),
        proto_of(10, [4], bool_val=[True, False]),
        proto_of(8, [3], scomplex_val=[1, 2]),
        proto_of(8, [2], scomplex_val=[1, 2, 3, 4, 5]),
        proto_of(6, [2], int_val=[300, -200]),
        proto_of(7, [3], string_val=[b"a", b"\x00\xff"]),
        proto_of(7, [2]),
        proto_of(7, [], string_val=[b"one"]),
        proto_of(7, [3], tensor_content=b"\x01\x00\x02abc"),
        proto_of(9, [2], int64_val=[1], tensor_content=b"\x01" + b"\x00" * 15),
    ],
)
def test_abbreviations_as_tensorflow_reads_them(proto):
    np.testing.assert_array_equal(tensors.decode(proto), by_tensorflow(proto))


@pytest.mark.parametrize(
    "proto",
    [
        proto_of(1, [2], tensor_content=b"\x00" * 7),
        proto_of(1, [2], tensor_content=b"\x00" * 12),
        proto_of(7, [2], tensor_content=b"\x01\x01a"),
        proto_of(7, [3], tensor_content=b"\x01\x01"),
        proto_of(7, [1], tensor_content=b"\xff\xff\xff\xff\xff\xff"),
        proto_of(1, [-1], float_val=[1]),
        proto_of(1, [1 << 40, 1 << 40], float_val=[1]),
        proto_of(0, [1], float_val=[1]),
    ],
)
def test_wrong_sizes_are_refused_as_by_tensorflow(proto):
    with pytest.raises(tensors.TensorDecodeError):
        tensors.decode(proto)
    if proto.dtype:
        with pytest.raises(tf.errors.InvalidArgumentError):
            by_tensorflow(proto)


@pytest.mark.parametrize(
    "proto",
    [
        proto_of(1, [1 << 30], float_val=[1]),
        proto_of(7, [1 << 24], string_val=[b"x" * 1000]),
        proto_of(20, [1]),
        proto_of(99, [1]),
        proto_of(1, [1] * 65, float_val=[1]),
        proto_of(1, [0, 1 << 62]),
        tensor_pb2.TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
    ],
)
def test_memory_bombs_and_strange_dtypes_are_refused(proto):
    with pytest.raises(tensors.TensorDecodeError):
        tensors.decode(proto)


@settings(max_examples=150)
@given(st.binary(max_size=60), st.sampled_from([*tensors.DTYPES, 0, 21]), st.lists(st.integers(-1, 5), max_size=3))
def test_random_content_decodes_or_is_refused(content, dtype, shape):
    try:
        array = tensors.decode(proto_of(dtype, shape, tensor_content=content))
    except tensors.TensorDecodeError:
        return
    assert array.shape == tuple(shape)


@settings(max_examples=100)
@given(hnp.arrays(np.object_, hnp.array_shapes(min_dims=0, min_side=0), elements=st.binary(max_size=8)))
def test_strings_round_trip(array):
    proto = tensor_pb2.TensorProto()
    tensors.encode(array, proto)
    np.testing.assert_array_equal(tensors.decode(proto), array)
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)


def test_what_is_no_tensor():
    for array in (np.array([object()]), np.array(["2020-01-01"], dtype="M8[D]"), np.array([1, None], dtype=object)):
        with pytest.raises(tensors.TensorEncodeError):
            tensors.encode(array, tensor_pb2.TensorProto())


def test_lists_become_arrays():
    assert tensors.as_array([1.5]).dtype == np.float32
    assert tensors.as_array([1]).dtype == np.int64
    assert tensors.as_array(np.array([1.5])).dtype == np.float64
    assert tensors.as_array([b"a\x00"])[0] == b"a\x00"
    big_endian = tensor_pb2.TensorProto()
    tensors.encode(np.array([1, 2], dtype=">i4"), big_endian)
    np.testing.assert_array_equal(tensors.decode(big_endian), [1, 2])

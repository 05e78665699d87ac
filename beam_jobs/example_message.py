"""tf.train.Example without TensorFlow: the same message, built from its description, with protobuf's C implementation.

For reading single records (`inspect`); writing goes through encode.py, which is many times as fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tfrec_zoo.errors import DataError

_DTYPES = {"bytes_list": "bytes", "float_list": "float32", "int64_list": "int64"}


def decode(record: bytes) -> dict[str, tuple[str, list[Any] | np.ndarray]]:
    """Decodes a serialised tf.train.Example.

    Returns:
        Feature -> dtype ("bytes", "float32", "int64") and values: a list of bytes or an array (n,).

    Raises:
        DataError: Not a tf.train.Example.
    """
    try:
        features = _Example.FromString(record).features.feature
    except Exception as error:
        raise DataError(f"not a tf.train.Example: {error}") from error
    decoded: dict[str, tuple[str, list[Any] | np.ndarray]] = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        if kind is None:
            raise DataError(f"feature {name!r} has no kind")
        values = getattr(feature, kind).value
        dtype = _DTYPES[kind]
        decoded[name] = (dtype, list(values) if dtype == "bytes" else np.array(values, dtype))
    return decoded


def _message() -> Any:
    """The class of the message, in a pool of its own, so that TensorFlow's may be loaded beside it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    kinds = (("bytes_list", field.TYPE_BYTES), ("float_list", field.TYPE_FLOAT), ("int64_list", field.TYPE_INT64))
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(kinds, start=1):
        values = file.message_type.add(name=name.title().replace("_", ""))
        values.field.add(name="value", number=1, label=field.LABEL_REPEATED, type=kind)
        feature.field.add(
            name=name,
            number=number,
            label=field.LABEL_OPTIONAL,
            type=field.TYPE_MESSAGE,
            type_name=f".tensorflow.{values.name}",
            oneof_index=0,
        )
    file.message_type.append(feature)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    one_feature = {"label": field.LABEL_OPTIONAL, "type": field.TYPE_MESSAGE}
    entry.field.add(name="value", number=2, type_name=".tensorflow.Feature", **one_feature)
    features.field.add(
        name="feature",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
    )
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, type_name=".tensorflow.Features", **one_feature)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_Example = _message()

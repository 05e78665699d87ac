"""The client's own messages against the official ones: the same bytes, in one process."""

import random

import numpy as np
import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving import tensors, wire

PAIRS = [
    (wire.TensorProto, tensor_pb2.TensorProto),
    (wire.ModelSpec, model_pb2.ModelSpec),
    (wire.PredictRequest, predict_pb2.PredictRequest),
    (wire.PredictResponse, predict_pb2.PredictResponse),
    (wire.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
    (wire.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
    (wire.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
    (wire.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
    (wire.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap),
]


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def assert_same_fields(ours, official, seen=()):
    for field in ours.fields:
        twin = official.fields_by_number.get(field.number)
        assert twin is not None, f"{official.full_name} has no field {field.number}"
        assert twin.name == field.name
        assert is_repeated(twin) == is_repeated(field)
        oneof = twin.containing_oneof and twin.containing_oneof.name
        assert (field.containing_oneof and field.containing_oneof.name) == oneof
        assert field.type == (field.TYPE_INT32 if twin.type == twin.TYPE_ENUM else twin.type), field.full_name
        if field.message_type and field.message_type.full_name not in seen:
            assert_same_fields(field.message_type, twin.message_type, (*seen, field.message_type.full_name))


@pytest.mark.parametrize(("ours", "official"), PAIRS, ids=lambda message: message.DESCRIPTOR.name)
def test_fields_have_the_same_numbers_and_types(ours, official):
    assert ours.DESCRIPTOR.full_name != official.DESCRIPTOR.full_name
    assert_same_fields(ours.DESCRIPTOR, official.DESCRIPTOR)


def random_value(field, rng):
    if field.type == field.TYPE_STRING:
        return "".join(rng.choices("aé☃", k=rng.randint(1, 4)))
    if field.type == field.TYPE_BYTES:
        return rng.randbytes(rng.randint(1, 9))
    if field.type == field.TYPE_BOOL:
        return True
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return float(np.float32(rng.uniform(-9, 9)))
    signed = field.type in (field.TYPE_INT32, field.TYPE_INT64)
    return rng.randint(-5 if signed and field.name not in ("dtype", "state", "error_code") else 0, 20)


def fill(message, rng, depth=0):
    """Fills a message of ours with random values in every field."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.2 or depth > 6:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            fill(getattr(message, field.name)[f"key{rng.randint(0, 3)}"], rng, depth + 1)
        elif field.message_type:
            target = getattr(message, field.name)
            fill(target.add() if is_repeated(field) else target, rng, depth + 1)
        elif is_repeated(field):
            getattr(message, field.name).extend(random_value(field, rng) for _ in range(rng.randint(1, 4)))
        else:
            setattr(message, field.name, random_value(field, rng))


@pytest.mark.parametrize(("ours", "official"), PAIRS, ids=lambda message: message.DESCRIPTOR.name)
def test_bytes_round_trip_through_the_official_message(ours, official):
    rng = random.Random(3)
    for _ in range(50):
        message = ours()
        fill(message, rng)
        data = message.SerializeToString(deterministic=True)
        twin = official.FromString(data)
        assert twin.SerializeToString(deterministic=True) == data
        assert ours.FromString(twin.SerializeToString()) == message
        assert len(twin.ListFields()) == len(message.ListFields())


@settings(max_examples=50)
@given(st.text(max_size=5), st.integers(0, 2**63 - 1), st.lists(st.text(max_size=3), max_size=4))
def test_a_request_says_the_same(name, version, ids):
    request = wire.PredictRequest()
    request.model_spec.name = name
    request.model_spec.version.value = version
    tensors.encode(np.array(ids, dtype=object), request.inputs["history"])
    official = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert official.model_spec.name == name
    assert official.model_spec.version == wrappers_pb2.Int64Value(value=version)
    assert list(official.inputs["history"].string_val) == [item.encode() for item in ids]


def test_version_and_label_exclude_each_other():
    spec = wire.ModelSpec(version_label="stable")
    spec.version.value = 3
    assert spec.WhichOneof("version_choice") == "version"
    assert not spec.version_label


def test_signature_defs():
    official = get_model_metadata_pb2.SignatureDefMap()
    official.signature_def["s"].CopyFrom(meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict"))
    official.signature_def["s"].inputs["x"].dtype = 7
    assert wire.SignatureDefMap.FromString(official.SerializeToString()).signature_def["s"].inputs["x"].dtype == 7

"""Predict through the official stubs: what every TensorFlow Serving client sees, errors word for word."""

import collections
import random
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.tiny_models import ITEMS, LOWEST, MAX_K

TIMEOUT = 120
CODES = grpc.StatusCode


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request_of(model="recs", signature="", version=None, label=None, outputs=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for alias, value in inputs.items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        request.inputs[alias].CopyFrom(proto)
    return request


def outputs_of(response):
    return {alias: tf.make_ndarray(proto) for alias, proto in response.outputs.items()}


def error_of(stub, request, timeout=TIMEOUT):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=timeout)
    return caught.value.code(), caught.value.details()


HISTORY = [[b"", b"item0", b"item2"]]


def test_ten_line_client(server):
    with grpc.insecure_channel(server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "recs"
        request.inputs["history"].CopyFrom(tf.make_tensor_proto(HISTORY))
        response = stub.Predict(request, timeout=TIMEOUT)
    assert list(response.outputs["item_ids"].string_val)[:2] == [b"item1", b"item3"]
    assert list(response.outputs["scores"].float_val)[:2] == [1.0, -1.0]
    assert list(response.outputs["fallback"].bool_val) == [False]


@pytest.mark.parametrize(
    ("choice", "version"), [({}, 2), ({"version": 1}, 1), ({"label": "stable"}, 1), ({"label": "canary"}, 2)]
)
def test_versions_labels_and_the_model_spec_of_the_response(stub, choice, version):
    response = stub.Predict(request_of(**choice, history=[[b""]]), timeout=TIMEOUT)
    assert response.outputs["scores"].float_val[0] == version
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("recs", version, "serving_default")
    assert spec.WhichOneof("version_choice") == "version"
    named = stub.Predict(request_of(signature="recommend", history=[[b""]]), timeout=TIMEOUT)
    assert named.model_spec.signature_name == "recommend"


MISMATCH = (
    "input size does not match signature: {sent}!={expected} len({{{given}}}) != len({{{inputs}}}). "
    "Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
)
X = np.array([1], np.int64)
ERRORS = {
    "no name": (request_of("", history=HISTORY), CODES.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    "no spec": (predict_pb2.PredictRequest(), CODES.INVALID_ARGUMENT, "Missing ModelSpec"),
    "unknown model": (request_of("m"), CODES.NOT_FOUND, "Servable not found for request: Latest(m)"),
    "unknown version": (
        request_of("recs", version=7),
        CODES.NOT_FOUND,
        "Servable not found for request: Specific(recs, 7)",
    ),
    "unknown model and version": (
        request_of("m", version=7),
        CODES.NOT_FOUND,
        "Servable not found for request: Specific(m, 7)",
    ),
    "version not by policy": (
        request_of("recs", version=0),
        CODES.NOT_FOUND,
        "Servable not found for request: Specific(recs, 0)",
    ),
    "unknown label": (
        request_of(label="x"),
        CODES.INVALID_ARGUMENT,
        "Unrecognized servable version label: x",
    ),
    "label of unknown model": (
        request_of("m", label="x"),
        CODES.INVALID_ARGUMENT,
        "Unrecognized servable version label: x",
    ),
    "path in the name": (
        request_of("../recs"),
        CODES.NOT_FOUND,
        "Servable not found for request: Latest(../recs)",
    ),
    "unknown signature": (
        request_of(signature="x"),
        CODES.FAILED_PRECONDITION,
        'Serving signature key "x" not found.',
    ),
    "no default signature": (
        request_of("kinds"),
        CODES.FAILED_PRECONDITION,
        'Serving signature key "serving_default" not found.',
    ),
    "initialiser": (
        request_of(signature="__saved_model_init_op"),
        CODES.INTERNAL,
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: ",
    ),
    "input missing": (
        request_of(),
        CODES.INVALID_ARGUMENT,
        "input size does not match signature: 0!=1 len({}) != len({history}). Sent extra: {}. "
        "Missing but required: {history}.",
    ),
    "input extra": (
        request_of(history=HISTORY, b=X, a=X),
        CODES.INVALID_ARGUMENT,
        MISMATCH.format(sent=3, expected=1, given="a,b,history", inputs="history", extra="a,b", missing=""),
    ),
    "one of two": (
        request_of("kinds", "two", c=X),
        CODES.INVALID_ARGUMENT,
        MISMATCH.format(sent=1, expected=2, given="c", inputs="a,b", extra="c", missing="a,b"),
    ),
    "input misnamed": (
        request_of(histories=HISTORY),
        CODES.INVALID_ARGUMENT,
        "Signature input alias: history(feed name: serving_default_history:0) not found in request and no default "
        "value provided. Inputs expected to be in the request {histories}, or default input alias set: ",
    ),
    "default for another": (
        request_of("kinds", "defaulted", b=np.ones(1, np.float32)),
        CODES.INVALID_ARGUMENT,
        "Signature input alias: a(feed name: two_a:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {b}, or default input alias set: b",
    ),
    "extra beside a default": (
        request_of("kinds", "defaulted", a=X, c=X),
        CODES.INVALID_ARGUMENT,
        "Inputs contains invalid name. Used request inputs: a, request input: a,c",
    ),
    "bad tensor": (
        request_of(
            "kinds",
            "ints",
            x=TensorProto(dtype=9, tensor_shape={"dim": [{"size": 2}]}, tensor_content=b"1"),
        ),
        CODES.INVALID_ARGUMENT,
        "tensor parsing error: x",
    ),
    "tensor without dtype": (
        request_of("kinds", "ints", x=TensorProto()),
        CODES.INVALID_ARGUMENT,
        "tensor parsing error: x",
    ),
    "wrong dtype": (
        request_of("kinds", "ints", x=[1.5]),
        CODES.INVALID_ARGUMENT,
        "Expects arg[0] to be int64 but float is provided",
    ),
    "wrong dtype of the second": (
        request_of("kinds", "two", a=X, b=[b"x"]),
        CODES.INVALID_ARGUMENT,
        "Expects arg[1] to be float but string is provided",
    ),
    "wrong dtype of a string": (
        request_of(history=np.ones((1, 1), np.int32)),
        CODES.INVALID_ARGUMENT,
        "Expects arg[0] to be string but int32 is provided",
    ),
    "wrong rank": (
        request_of(history=[b"item1"]),
        CODES.INVALID_ARGUMENT,
        "input history has shape (1,), but the signature has (?, ?)",
    ),
    "output filter": (
        request_of(outputs=["x"], history=HISTORY),
        CODES.INVALID_ARGUMENT,
        "output tensor alias not found in signature: x Outputs expected to be in the set {fallback,item_ids,scores}.",
    ),
    "output twice": (
        request_of(outputs=["scores", "scores"], history=HISTORY),
        CODES.INVALID_ARGUMENT,
        "duplicate output tensor alias: scores",
    ),
}


@pytest.mark.parametrize("row", ERRORS)
def test_errors_word_for_word(stub, row):
    request, code, message = ERRORS[row]
    assert error_of(stub, request) == (code, message)


def test_an_error_of_the_graph_is_an_answer(stub):
    code, message = error_of(stub, request_of("kinds", "fails", x=np.array([5], np.int64)))
    assert code == CODES.INVALID_ARGUMENT
    assert "indices[0] = 5 is not in [0, 3)" in message


def test_a_long_error_still_arrives(stub):
    code, message = error_of(stub, request_of("é" * 5000))
    assert code == CODES.NOT_FOUND
    assert message.endswith("...TRUNCATED")


def test_output_filter_and_scalar_outputs(stub):
    x = np.array([3, 4], np.int64)
    response = stub.Predict(request_of("kinds", "ints", outputs=["total"], x=x), timeout=TIMEOUT)
    assert {alias: value.tolist() for alias, value in outputs_of(response).items()} == {"total": 7}
    assert response.outputs["total"].HasField("tensor_shape")
    both = outputs_of(stub.Predict(request_of("kinds", "ints", outputs=["zero", "y"], x=x), timeout=TIMEOUT))
    assert {alias: value.tolist() for alias, value in both.items()} == {"y": [6, 8], "zero": [0, 0]}


def test_other_dtypes_there_and_back(stub):
    inputs = {
        "half": np.array([0.5, -2], np.float16),
        "flag": np.array([True, False]),
        "text": [b"\x00\xff", b"b\x00"],
        "brain": tf.constant([1.5], tf.bfloat16).numpy(),
        "byte": np.array([200, 255], np.uint8),
    }
    outputs = outputs_of(stub.Predict(request_of("kinds", "echo", **inputs), timeout=TIMEOUT))
    np.testing.assert_array_equal(outputs["half"], inputs["half"])
    np.testing.assert_array_equal(outputs["flag"], inputs["flag"])
    assert outputs["text"].tolist() == [b"\x00\xff!", b"b\x00!"]
    assert outputs["one"].item() == b"\x00\xff?"
    assert outputs["brain"].tolist() == [3.0]
    assert outputs["byte"].dtype == np.uint8


def test_abbreviated_and_default_values(stub):
    ones = TensorProto(dtype=9, tensor_shape={"dim": [{"size": 3}]}, int64_val=[5])
    response = stub.Predict(request_of("kinds", "ints", x=ones), timeout=TIMEOUT)
    assert list(response.outputs["y"].int64_val) == [10, 10, 10]
    response = stub.Predict(request_of("kinds", "defaulted", a=X), timeout=TIMEOUT)
    assert list(response.outputs["sum"].float_val) == [1.5]
    response = stub.Predict(request_of("kinds", "defaulted", a=X, b=np.ones(1, np.float32)), timeout=TIMEOUT)
    assert list(response.outputs["sum"].float_val) == [2.0]


def test_batch_of_zero_is_valid(stub):
    outputs = outputs_of(stub.Predict(request_of(history=np.empty((0, 4), object)), timeout=TIMEOUT))
    assert {alias: value.shape for alias, value in outputs.items()} == {
        "item_ids": (0, MAX_K),
        "scores": (0, MAX_K),
        "fallback": (0,),
    }
    empty_rows = outputs_of(stub.Predict(request_of(history=np.empty((2, 0), object)), timeout=TIMEOUT))
    assert empty_rows["fallback"].tolist() == [True, True]


def test_random_bytes_are_answered_with_an_error(channel, stub):
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    valid = request_of(history=HISTORY).SerializeToString()
    rng = random.Random(11)
    payloads = [rng.randbytes(rng.randint(0, 300)) for _ in range(150)]
    payloads += [valid[: rng.randint(0, len(valid) - 1)] for _ in range(50)]
    for _ in range(100):
        flipped = bytearray(valid)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        payloads.append(bytes(flipped))
    payloads.append(b"\x0a\xff\xff\xff\xff\x0f")
    codes = collections.Counter(raw.future(payload, timeout=TIMEOUT).code() for payload in payloads)
    # A flipped bit of an item id still is a request; of a name, it names another model or signature.
    assert set(codes) <= {CODES.OK, CODES.INVALID_ARGUMENT, CODES.NOT_FOUND, CODES.FAILED_PRECONDITION}
    assert codes[CODES.INVALID_ARGUMENT] > 200
    assert stub.Predict(request_of(history=HISTORY), timeout=TIMEOUT).outputs["item_ids"].string_val


def test_bytes_that_are_no_request(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(b"\xff" * 9, timeout=TIMEOUT)
    assert caught.value.code() == CODES.INVALID_ARGUMENT
    assert caught.value.details() == "the request is not a tensorflow.serving.PredictRequest"


def test_concurrent_good_and_bad_requests(stub):
    def one(seed):
        rng = random.Random(seed)
        if seed % 4 == 0:
            return error_of(stub, request_of("kinds", "ints", x=[1.5]))[0] == CODES.INVALID_ARGUMENT
        history = rng.sample(ITEMS, rng.randint(1, 6))
        version = rng.choice([1, 2])
        response = stub.Predict(request_of(version=version, history=[history]), timeout=TIMEOUT)
        left = [item for item in ITEMS if item not in history][:MAX_K]
        scores = [version - ITEMS.index(item) for item in left]
        return [item.decode() for item in response.outputs["item_ids"].string_val] == left and list(
            response.outputs["scores"].float_val
        ) == scores

    with futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(400)))


def test_padding_of_the_outputs(stub):
    outputs = outputs_of(stub.Predict(request_of(history=[ITEMS[:15]]), timeout=TIMEOUT))
    assert outputs["item_ids"][0].tolist()[5:] == [b""] * 7
    assert outputs["scores"][0, 5:].tolist() == [pytest.approx(LOWEST)] * 7


def test_a_deadline_does_not_hold_up_others(stub):
    began = time.monotonic()
    steps = np.array(600_000, np.int32)  # seconds, even of a fast processor
    code, _ = error_of(stub, request_of("kinds", "slow", steps=steps), timeout=0.1)
    assert code == CODES.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 60
    assert stub.Predict(request_of(history=HISTORY), timeout=TIMEOUT).outputs


def test_a_large_request(stub):
    # 8 MB, above gRPC's own limit of 4 MB
    x = np.arange(1_000_000, dtype=np.int64)
    response = stub.Predict(request_of("kinds", "ints", outputs=["total"], x=x), timeout=TIMEOUT)
    assert response.outputs["total"].int64_val[0] == x.sum()

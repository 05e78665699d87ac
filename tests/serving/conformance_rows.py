"""The protocol as a table: each row a request, the answer that TensorFlow Serving gives, and the one seen here.

pytest -s tests/serving/conformance_test.py      prints the table
"""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.server.messages import HealthCheckRequest, HealthCheckResponse
from tests.serving.tiny_models import MAX_K

TIMEOUT = 120
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INVALID, NOT_FOUND, PRECONDITION = "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"
MISMATCH = (
    "input size does not match signature: {sent}!={wanted} len({{{given}}}) != len({{{inputs}}}). "
    "Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
)
FILTER = "output tensor alias not found in signature: x Outputs expected to be in the set {fallback,item_ids,scores}."
NO_DEFAULT = (
    "Signature input alias: a(feed name: two_a:0) not found in request and no default value provided. Inputs expected "
    "to be in the request {b}, or default input alias set: b"
)
HISTORY = [[b"", b"item0", b"item2"]]


@dataclasses.dataclass(frozen=True)
class Row:
    about: str
    face: str
    request: str
    expected: Any
    ask: Callable[["Faces"], Any]


class Faces:
    """The server's two ports, as functions that give an answer or (code, message)."""

    def __init__(self, channel, rest):
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(channel)
        self.health = channel.unary_unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        self.rest = rest


def fill(request, model="recs", signature="", version=None, label=None):
    spec = request.model_spec
    spec.SetInParent()
    spec.name, spec.signature_name = model, signature
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return request


def predict(model="recs", signature="", version=None, label=None, outputs=(), **inputs):
    request = fill(predict_pb2.PredictRequest(output_filter=outputs), model, signature, version, label)
    for alias, value in inputs.items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        request.inputs[alias].CopyFrom(proto)
    return request


def example(**features):
    kinds = {name: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=kinds))


def over_examples(request_class, signature, *examples, context=None, **spec):
    request = fill(request_class(), "points", signature, **spec)
    if context is not None:
        request.input.example_list_with_context.context.CopyFrom(context)
        request.input.example_list_with_context.examples.extend(examples)
    else:
        request.input.example_list.examples.extend(examples)
    return request


def multi(*heads, model="points"):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in heads:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    request.input.example_list.examples.append(example(x=0.25))
    return request


def called(faces, method, request, read):
    stub = faces.prediction if hasattr(faces.prediction, method) else faces.model
    try:
        return read(getattr(stub, method)(request, timeout=TIMEOUT))
    except grpc.RpcError as error:
        return error.code().name, error.details()


def grpc_row(about, method, request, expected, read=lambda response: "OK"):
    shown = " ".join(str(request).split()) if not isinstance(request, bytes) else repr(request)
    return Row(about, "gRPC", f"{method} {shown[:70]}", expected, lambda faces: called(faces, method, request, read))


def rest_row(about, method, path, body, expected, read=lambda document: document):
    def ask(faces):
        status, document = faces.rest(method, path, body)
        return (status, document["error"]) if status != 200 else read(document)

    return Row(about, "REST", f"{method} {path} {'' if body is None else str(body)[:50]}", expected, ask)


def first_score(response):
    return float(response.outputs["scores"].float_val[0])


def spec_of(response):
    spec = response.model_spec
    return spec.name, spec.version.value, spec.signature_name, spec.version_label


V1 = "/v1/models/recs"
ROWS = [
    # Addresses.
    grpc_row("latest version", "Predict", predict(history=[[b""]]), 2.0, first_score),
    grpc_row("a version", "Predict", predict(version=1, history=[[b""]]), 1.0, first_score),
    grpc_row("a label", "Predict", predict(label="stable", history=[[b""]]), 1.0, first_score),
    grpc_row(
        "model_spec of the answer: resolved, no label",
        "Predict",
        predict(label="stable", history=[[b""]]),
        ("recs", 1, "serving_default", ""),
        spec_of,
    ),
    rest_row(
        "latest version",
        "POST",
        f"{V1}:predict",
        {"instances": [[""]]},
        2.0,
        lambda d: d["predictions"][0]["scores"][0],
    ),
    rest_row(
        "a version",
        "POST",
        f"{V1}/versions/1:predict",
        {"instances": [[""]]},
        1.0,
        lambda d: d["predictions"][0]["scores"][0],
    ),
    rest_row(
        "a label",
        "POST",
        f"{V1}/labels/canary:predict",
        {"instances": [[""]]},
        2.0,
        lambda d: d["predictions"][0]["scores"][0],
    ),
    grpc_row("no name", "Predict", predict(""), (INVALID, "ModelSpec has no name specified.")),
    grpc_row(
        "no name",
        "Classify",
        fill(classification_pb2.ClassificationRequest(), ""),
        (INVALID, "ModelSpec has no name specified."),
    ),
    grpc_row(
        "no name",
        "GetModelMetadata",
        fill(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]), ""),
        (INVALID, "ModelSpec has no name specified."),
    ),
    rest_row("no name", "GET", "/v1/models", None, (400, "Missing model name in request.")),
    grpc_row("unknown model", "Predict", predict("m"), (NOT_FOUND, "Servable not found for request: Latest(m)")),
    grpc_row(
        "unknown version",
        "Predict",
        predict("m", version=7),
        (NOT_FOUND, "Servable not found for request: Specific(m, 7)"),
    ),
    grpc_row(
        "unknown version of a model",
        "Regress",
        fill(regression_pb2.RegressionRequest(), "points", version=7),
        (NOT_FOUND, "Servable not found for request: Specific(points, 7)"),
    ),
    rest_row(
        "unknown model",
        "POST",
        "/v1/models/m:predict",
        {"instances": [1]},
        (404, "Servable not found for request: Latest(m)"),
    ),
    rest_row(
        "unknown version",
        "POST",
        f"{V1}/versions/7:predict",
        {"instances": [1]},
        (404, "Servable not found for request: Specific(recs, 7)"),
    ),
    grpc_row("unknown label", "Predict", predict(label="x"), (INVALID, "Unrecognized servable version label: x")),
    rest_row(
        "unknown label",
        "POST",
        f"{V1}/labels/x:predict",
        {"instances": [1]},
        (400, "Unrecognized servable version label: x"),
    ),
    # Predict.
    grpc_row(
        "unknown signature", "Predict", predict(signature="x"), (PRECONDITION, 'Serving signature key "x" not found.')
    ),
    rest_row(
        "unknown signature",
        "POST",
        f"{V1}:predict",
        {"signature_name": "x", "instances": [[""]]},
        (400, 'Serving signature name: "x" not found in signature def'),
    ),
    grpc_row(
        "input missing",
        "Predict",
        predict("kinds", "ints"),
        (INVALID, MISMATCH.format(sent=0, wanted=1, given="", inputs="x", extra="", missing="x")),
    ),
    grpc_row(
        "input extra",
        "Predict",
        predict("kinds", "ints", x=[1], y=[1]),
        (INVALID, MISMATCH.format(sent=2, wanted=1, given="x,y", inputs="x", extra="y", missing="")),
    ),
    grpc_row("input without default", "Predict", predict("kinds", "defaulted", b=[1.0]), (INVALID, NO_DEFAULT)),
    grpc_row(
        "bad tensor",
        "Predict",
        predict("kinds", "ints", x=TensorProto(dtype=9, tensor_shape={"dim": [{"size": 2}]}, tensor_content=b"1")),
        (INVALID, "tensor parsing error: x"),
    ),
    grpc_row(
        "wrong dtype",
        "Predict",
        predict("kinds", "ints", x=[1.5]),
        (INVALID, "Expects arg[0] to be int64 but float is provided"),
    ),
    grpc_row("output filter", "Predict", predict(outputs=["x"], history=HISTORY), (INVALID, FILTER)),
    grpc_row(
        "batch of 0",
        "Predict",
        predict(history=np.empty((0, 4), object)),
        [0, MAX_K],
        lambda r: [dim.size for dim in r.outputs["scores"].tensor_shape.dim],
    ),
    rest_row(
        "column format",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "ints", "inputs": [3, 4]},
        {"y": [6, 8], "total": 7, "zero": [0, 0]},
        lambda d: d["outputs"],
    ),
    rest_row(
        "column format, several inputs",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "two", "inputs": {"a": [1, 2], "b": [0.5, 1]}},
        [1.5, 3.0],
        lambda d: d["outputs"],
    ),
    rest_row(
        "row format, several inputs",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "two", "instances": [{"a": 1, "b": 0.5}, {"a": 2, "b": 1}]},
        [1.5, 3.0],
        lambda d: d["predictions"],
    ),
    rest_row(
        "base64",
        "POST",
        f"{V1}:predict",
        {"instances": [["", {"b64": base64.b64encode(b"item0").decode()}]]},
        "item1",
        lambda d: d["predictions"][0]["item_ids"][0],
    ),
    rest_row(
        "bytes output",
        "POST",
        "/v1/models/points:predict",
        {"signature_name": "predict", "inputs": [0.5]},
        {"b64": base64.b64encode(b"0.500000").decode()},
        lambda d: d["outputs"]["y_bytes"][0],
    ),
    rest_row(
        "row format, scalar output",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "ints", "instances": [1]},
        (400, "Tensor name: total has no shape information "),
    ),
    rest_row("no instances", "POST", f"{V1}:predict", {}, (400, "Missing 'inputs' or 'instances' key")),
    rest_row(
        "wrong type",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "ints", "inputs": [1.5]},
        (400, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
    ),
    rest_row(
        "missing input",
        "POST",
        "/v1/models/kinds:predict",
        {"signature_name": "two", "inputs": {"a": [1]}},
        (400, "Missing named input: b in 'inputs' object."),
    ),
    rest_row(
        "ragged",
        "POST",
        f"{V1}:predict",
        {"inputs": [["a"], ["a", "b"]]},
        (400, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ),
    rest_row("no JSON", "POST", f"{V1}:predict", b"", (400, "JSON Parse error: The document is empty")),
    rest_row("unmatched path", "GET", "/v1/nothing", None, (400, "Malformed request: GET /v1/nothing")),
    rest_row("unmatched verb", "POST", f"{V1}:explain", {}, (400, f"Malformed request: POST {V1}:explain")),
    rest_row("unmatched method", "GET", f"{V1}:predict", None, (400, f"Malformed request: GET {V1}:predict")),
    rest_row("outside of /v1", "GET", "/", None, (404, "Not Found")),
    # Classify, Regress, MultiInference.
    grpc_row(
        "classify",
        "Classify",
        over_examples(classification_pb2.ClassificationRequest, "classify", example(x=0.25)),
        [("no", 0.75), ("yes", 0.25)],
        lambda r: [(c.label, c.score) for c in r.result.classifications[0].classes],
    ),
    grpc_row(
        "model_spec of the answer",
        "Classify",
        over_examples(classification_pb2.ClassificationRequest, "classify", example(x=0.25)),
        ("points", 3, "classify", ""),
        spec_of,
    ),
    grpc_row(
        "regress",
        "Regress",
        over_examples(regression_pb2.RegressionRequest, "regress", example(x=0.25), example(x=1)),
        [0.5, 2.0],
        lambda r: [each.value for each in r.result.regressions],
    ),
    grpc_row(
        "a context joins each example",
        "Regress",
        over_examples(regression_pb2.RegressionRequest, "regress", example(), example(x=1), context=example(x=3)),
        [6.0, 2.0],
        lambda r: [each.value for each in r.result.regressions],
    ),
    rest_row(
        "classify",
        "POST",
        "/v1/models/points:classify",
        {"signature_name": "classify", "examples": [{"x": 0.25}]},
        [[["no", 0.75], ["yes", 0.25]]],
        lambda d: d["results"],
    ),
    rest_row(
        "regress",
        "POST",
        "/v1/models/points:regress",
        {"signature_name": "regress", "context": {"x": 3.0}, "examples": [{}, {"x": [1.0]}]},
        [6.0, 2.0],
        lambda d: d["results"],
    ),
    grpc_row(
        "empty input",
        "Classify",
        over_examples(classification_pb2.ClassificationRequest, "classify"),
        (INVALID, "Input is empty."),
    ),
    grpc_row(
        "empty input",
        "Regress",
        over_examples(regression_pb2.RegressionRequest, "regress"),
        (INVALID, "Input is empty."),
    ),
    rest_row(
        "empty input",
        "POST",
        "/v1/models/points:classify",
        {"signature_name": "classify", "examples": []},
        (400, 'JSON Value: {"signature_name": "classify", "examples": []} \'examples\' value is an empty array'),
    ),
    grpc_row(
        "signature of another method",
        "Classify",
        over_examples(classification_pb2.ClassificationRequest, "regress", example(x=1)),
        (INVALID, f"Expected classification signature method_name to be {CLASSIFY}. Was: {REGRESS}"),
    ),
    grpc_row(
        "unknown signature",
        "Regress",
        over_examples(regression_pb2.RegressionRequest, "x", example(x=1)),
        (INVALID, "No signature was found with the name: x"),
    ),
    grpc_row(
        "several heads",
        "MultiInference",
        multi(("regress", REGRESS), ("regress_too", REGRESS)),
        [("regress", 0.5), ("regress_too", 0.5)],
        lambda r: [(each.model_spec.signature_name, each.regression_result.regressions[0].value) for each in r.results],
    ),
    grpc_row(
        "heads over other inputs",
        "MultiInference",
        multi(("regress", REGRESS), ("classify", CLASSIFY)),
        (INVALID, "Input tensor must be the same for all Signatures."),
    ),
    grpc_row(
        "a head twice",
        "MultiInference",
        multi(("regress", REGRESS), ("regress", REGRESS)),
        (INVALID, "Duplicate evaluation of signature: regress"),
    ),
    grpc_row(
        "unknown method",
        "MultiInference",
        multi(("regress", "x")),
        ("UNIMPLEMENTED", "Unsupported signature method_name: x"),
    ),
    # Metadata, status, reload, health.
    grpc_row(
        "metadata: only signature_def",
        "GetModelMetadata",
        fill(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["x"])),
        (INVALID, "Metadata field x is not supported"),
    ),
    grpc_row(
        "metadata",
        "GetModelMetadata",
        fill(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]), label="stable"),
        ("recs", 1, "", ""),
        spec_of,
    ),
    rest_row(
        "metadata",
        "GET",
        f"{V1}/metadata",
        None,
        ["encode", "recommend", "recommend_filtered", "score", "serving_default"],
        lambda d: sorted(name for name in d["metadata"]["signature_def"]["signature_def"] if name[0] != "_"),
    ),
    rest_row(
        "metadata: model_spec",
        "GET",
        f"{V1}/labels/stable/metadata",
        None,
        {"name": "recs", "version": "1", "signature_name": ""},
        lambda d: d["model_spec"],
    ),
    grpc_row(
        "status",
        "GetModelStatus",
        fill(get_model_status_pb2.GetModelStatusRequest()),
        [(2, 30), (1, 30)],
        lambda r: [(each.version, each.state) for each in r.model_version_status],
    ),
    rest_row(
        "status",
        "GET",
        f"{V1}/versions/1",
        None,
        [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}],
        lambda d: d["model_version_status"],
    ),
    grpc_row(
        "status of an unknown model",
        "GetModelStatus",
        fill(get_model_status_pb2.GetModelStatusRequest(), "m"),
        (NOT_FOUND, "Could not find any versions of model m"),
    ),
    rest_row(
        "status of an unknown version", "GET", f"{V1}/versions/7", None, (404, "Could not find version 7 of model recs")
    ),
    grpc_row(
        "reload without a list",
        "HandleReloadConfigRequest",
        model_management_pb2.ReloadConfigRequest(),
        (
            INVALID,
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        ),
    ),
    Row(
        "health",
        "gRPC",
        "grpc.health.v1.Health/Check",
        1,
        lambda faces: faces.health(HealthCheckRequest(), timeout=TIMEOUT).status,
    ),
    Row(
        "health of the service",
        "gRPC",
        "Check tensorflow.serving.PredictionService",
        1,
        lambda faces: (
            faces.health(HealthCheckRequest(service="tensorflow.serving.PredictionService"), timeout=TIMEOUT).status
        ),
    ),
]

"""The REST verbs :predict, :classify and :regress: a JSON body to a call, and its outputs to a JSON body."""

import json
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.server import examples, json_tensors
from serving.server.call import Call, Outputs
from serving.server.errors import invalid_argument
from serving.server.json_tensors import shown, type_name
from serving.server.predict import DEFAULT_SIGNATURE, Limits, as_array, check, find_signature
from serving.server.servable import Servable

_INT64 = np.iinfo(np.int64)
_MAX_FLOAT = float(np.finfo(np.float32).max)


def dump(document: Any) -> bytes:
    """Serializes an answer; NaN and infinities are written as TensorFlow Serving does, although JSON has no such."""
    return json.dumps(document, ensure_ascii=False, indent=4 if "error" in document else None).encode()


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def predict(servable: Servable, body: bytes, limits: Limits) -> Call:
    """Checks the body of a :predict.

    Raises:
        StatusError: It is no such body, or doesn't fit the signature.
    """
    document = json_tensors.parse(body)
    name = _signature_name(document) or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
    signature = find_signature(servable, name)
    by_row = "instances" in document
    if by_row and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if not by_row and "inputs" not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    if by_row:
        given = json_tensors.row_inputs(document["instances"], signature)
    else:
        given = json_tensors.column_inputs(document["inputs"], signature)
    arrays, wanted = check(signature, given, (), limits)

    def answer(outputs: Outputs) -> bytes:
        found = {alias: as_array(value) for alias, value in outputs.items()}
        return dump(json_tensors.rows_of(found) if by_row else json_tensors.columns_of(found))

    return Call(signature, arrays, wanted, answer)


def _add_value(feature: Any, name: str, value: Any) -> None:
    stored: bytes | int | float
    if isinstance(value, str) or json_tensors.is_base64(value):
        kind, stored = "bytes_list", json_tensors.text_bytes(value)
    elif isinstance(value, bool | int):
        if not _INT64.min <= value <= _INT64.max:
            raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
        kind, stored = "int64_list", int(value)
    elif isinstance(value, float):
        if np.isfinite(value) and abs(value) > _MAX_FLOAT:
            raise invalid_argument(f"Cannot convert JSON value: {shown(value)} to float without loss of precision.")
        kind, stored = "float_list", value
    else:
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    if feature.WhichOneof("kind") not in (None, kind):
        expected = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}[kind]
        raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {expected}")
    getattr(feature, kind).value.append(stored)


def _example(value: Any) -> Any:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        feature = example.features.feature[name]
        for item in content if isinstance(content, list) else [content]:
            _add_value(feature, name, item)
    return example


def _fill(request: Any, document: dict[str, Any]) -> Any:
    request.model_spec.signature_name = _signature_name(document)
    found = document.get("examples")
    if "examples" not in document:
        raise invalid_argument(
            f"JSON Value: {shown(document)} When method is classify, key 'examples' is expected and was not found"
        )
    if not isinstance(found, list):
        raise invalid_argument(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not found:
        raise invalid_argument(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    if "context" in document:
        target = request.input.example_list_with_context
        target.context.CopyFrom(_example(document["context"]))
    else:
        target = request.input.example_list
    target.examples.extend(_example(value) for value in found)
    return request


def classify(servable: Servable, body: bytes, limits: Limits) -> Call:
    """Checks the body of a :classify; the answer is a list of [label, score] for each example.

    Raises:
        StatusError: It is no such body, or doesn't fit the signature.
    """
    request = _fill(classification_pb2.ClassificationRequest(), json_tensors.parse(body))
    call, respond = examples.classification(servable, request, limits)

    def answer(outputs: Outputs) -> bytes:
        rows = [
            [[each.label, _short(each.score)] for each in row.classes]
            for row in respond(outputs).result.classifications
        ]
        return dump({"results": rows})

    return Call(call.signature, call.inputs, call.outputs, answer)


def regress(servable: Servable, body: bytes, limits: Limits) -> Call:
    """Checks the body of a :regress; the answer is a value for each example.

    Raises:
        StatusError: It is no such body, or doesn't fit the signature.
    """
    request = _fill(regression_pb2.RegressionRequest(), json_tensors.parse(body))
    call, respond = examples.regression(servable, request, limits)

    def answer(outputs: Outputs) -> bytes:
        return dump({"results": [_short(each.value) for each in respond(outputs).result.regressions]})

    return Call(call.signature, call.inputs, call.outputs, answer)


def _short(value: float) -> float:
    return json_tensors.from_array(np.array(value, np.float32), "")

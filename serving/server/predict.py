"""Predict: a PredictRequest against one servable, with TensorFlow Serving's checks in its order and words."""

from collections.abc import Iterable
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving import tensors
from serving.server.errors import StatusError, invalid_argument
from serving.server.servable import METHOD_NAMES, Servable, Signature

DEFAULT_SIGNATURE = "serving_default"


def _set(aliases: Iterable[str]) -> str:
    return ",".join(sorted(aliases))


def find_signature(servable: Servable, name: str) -> Signature:
    """Returns the signature that a request names; the default one for an empty name.

    Raises:
        StatusError: FAILED_PRECONDITION if there is none, INTERNAL if it isn't one that can be run.
    """
    name = name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    if signature.method_name not in METHOD_NAMES:
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of {"
            f"{', '.join(METHOD_NAMES)}}}. Was: {signature.method_name}",
        )
    return signature


def _check_aliases(signature: Signature, given: Iterable[str]) -> None:
    sent, expected = set(given), set(signature.inputs)
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_set(sent)}}}) != "
            f"len({{{_set(expected)}}}). Sent extra: {{{_set(sent - expected)}}}. "
            f"Missing but required: {{{_set(expected - sent)}}}."
        )
    for alias, spec in signature.inputs.items():
        if alias not in sent and alias not in signature.defaults:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {spec.tensor}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{_set(sent)}}}, or default input alias set: "
                f"{_set(signature.defaults)}"
            )
    if not sent <= expected:
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {_set(sent & expected)}, request input: {_set(sent)}"
        )


def _inputs(signature: Signature, given: Any) -> list[np.ndarray]:
    protos = {alias: given[alias] if alias in given else signature.defaults[alias] for alias in signature.inputs}
    arrays = []
    for alias, proto in protos.items():
        try:
            arrays.append(tensors.decode(proto))
        except tensors.TensorDecodeError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    return arrays


def _check_feeds(signature: Signature, given: Any, arrays: list[np.ndarray]) -> None:
    for index, (spec, array) in enumerate(zip(signature.inputs.values(), arrays, strict=True)):
        dtype = given[spec.alias].dtype if spec.alias in given else spec.dtype
        if dtype != spec.dtype:
            raise invalid_argument(
                f"Expects arg[{index}] to be {tensors.dtype_name(spec.dtype)} but "
                f"{tensors.dtype_name(dtype)} is provided"
            )
        # The graph is optimised for the signature's shapes; another rank is not safe to feed.
        if not spec.admits(array.shape):
            shape = "(" + ", ".join("?" if size is None else str(size) for size in spec.shape or ()) + ")"
            raise invalid_argument(f"input {spec.alias} has shape {array.shape}, but the signature has {shape}")


def _outputs(signature: Signature, output_filter: Iterable[str]) -> list[str]:
    wanted: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_set(signature.outputs)}}}."
            )
        if alias in wanted:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        wanted.append(alias)
    return wanted or list(signature.outputs)


def _as_array(value: Any) -> np.ndarray:
    return (
        value if isinstance(value, np.ndarray) else np.array(value, dtype=object if isinstance(value, bytes) else None)
    )


def predict(servable: Servable, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    """Answers a PredictRequest.

    Args:
        servable: The version that the request's model_spec resolved to.
        request: The request; a batch of 0 is valid.

    Returns:
        All outputs of the signature, or those of the filter. The model_spec holds the name, the version that answered
        and the signature's resolved name, never the label.

    Raises:
        StatusError: The request doesn't fit the signature, or the graph failed.
    """
    signature = find_signature(servable, request.model_spec.signature_name)
    _check_aliases(signature, request.inputs)
    arrays = _inputs(signature, request.inputs)
    wanted = _outputs(signature, request.output_filter)
    _check_feeds(signature, request.inputs, arrays)
    results = servable.run(signature, arrays, wanted)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.model_spec.signature_name = signature.name
    for alias, value in results.items():
        tensors.encode(_as_array(value), response.outputs[alias])
    return response

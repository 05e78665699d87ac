"""Predict: a PredictRequest against one servable, with TensorFlow Serving's checks in its order and words."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2

from serving import tensors
from serving.server.call import Call, Outputs
from serving.server.errors import Code, StatusError, invalid_argument
from serving.server.servable import METHOD_NAMES, Servable, Signature

DEFAULT_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may ask of this server.

    Args:
        rows: Largest batch of one request.
        columns: Largest second axis of an input: items of a history, candidates.
    """

    rows: int = 1 << 20
    columns: int = 1 << 20


def parse(request_class: Any, data: bytes) -> Any:
    """Parses a request message.

    Raises:
        StatusError: The bytes are no such message.
    """
    try:
        return request_class.FromString(data)
    except (DecodeError, UnicodeError) as error:
        raise invalid_argument(f"the request is not a {request_class.DESCRIPTOR.full_name}") from error


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
        raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    if signature.method_name not in METHOD_NAMES:
        raise StatusError(
            Code.INTERNAL,
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


def _check_feeds(signature: Signature, dtypes: Mapping[str, int], arrays: Sequence[np.ndarray], limits: Limits) -> None:
    for index, (spec, array) in enumerate(zip(signature.inputs.values(), arrays, strict=True)):
        dtype = dtypes.get(spec.alias, spec.dtype)
        if dtype != spec.dtype:
            raise invalid_argument(
                f"Expects arg[{index}] to be {tensors.dtype_name(spec.dtype)} but "
                f"{tensors.dtype_name(dtype)} is provided"
            )
        # The graph is optimised for the signature's shapes; another rank is not safe to feed.
        if not spec.admits(array.shape):
            shape = "(" + ", ".join("?" if size is None else str(size) for size in spec.shape or ()) + ")"
            raise invalid_argument(f"input {spec.alias} has shape {array.shape}, but the signature has {shape}")
        for size, most, what in zip(array.shape, (limits.rows, limits.columns), ("rows", "columns"), strict=False):
            if size > most:
                raise invalid_argument(f"input {spec.alias} has {size} {what}; this server takes at most {most}")


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


def as_array(value: Any) -> np.ndarray:
    """Makes an array of what a session returns: of a scalar it returns a numpy scalar or bytes."""
    return (
        value if isinstance(value, np.ndarray) else np.array(value, dtype=object if isinstance(value, bytes) else None)
    )


def check(
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    output_filter: Iterable[str],
    limits: Limits,
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Checks arrays, which have the signature's dtypes already, as a PredictRequest's tensors are checked.

    Returns:
        The arrays in the signature's order, and the aliases of the outputs to compute.

    Raises:
        StatusError: They don't fit the signature.
    """
    _check_aliases(signature, inputs)
    defaults = {alias: tensors.decode(proto) for alias, proto in signature.defaults.items() if alias not in inputs}
    arrays = [inputs[alias] if alias in inputs else defaults[alias] for alias in signature.inputs]
    wanted = tuple(sorted(_outputs(signature, output_filter)))
    _check_feeds(signature, {}, arrays, limits)
    return arrays, wanted


def predict(servable: Servable, data: bytes, limits: Limits) -> Call:
    """Checks a serialized PredictRequest.

    Args:
        servable: The version that the request's model_spec resolved to.
        data: The request; a batch of 0 is valid.
        limits: What the server takes.

    Returns:
        The call. Its answer is a PredictResponse with all outputs of the signature, or those of the filter; the
        model_spec holds the name, the version that answered and the signature's resolved name, never the label.

    Raises:
        StatusError: The request doesn't fit the signature.
    """
    request = parse(predict_pb2.PredictRequest, data)
    signature = find_signature(servable, request.model_spec.signature_name)
    _check_aliases(signature, request.inputs)
    arrays = _inputs(signature, request.inputs)
    wanted = tuple(sorted(_outputs(signature, request.output_filter)))
    _check_feeds(signature, {alias: proto.dtype for alias, proto in request.inputs.items()}, arrays, limits)

    def answer(outputs: Outputs) -> bytes:
        response = predict_pb2.PredictResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.model_spec.signature_name = signature.name
        for alias, value in outputs.items():
            tensors.encode(as_array(value), response.outputs[alias])
        return response.SerializeToString()

    return Call(signature, arrays, wanted, answer)

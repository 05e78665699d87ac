"""Classify, Regress and MultiInference: signatures over serialized tf.Examples, with TensorFlow Serving's checks."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from serving.server.call import Call, Outputs
from serving.server.errors import Code, StatusError, invalid_argument
from serving.server.predict import DEFAULT_SIGNATURE, Limits, as_array, parse
from serving.server.servable import CLASSIFY, REGRESS, Servable, Signature

_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"
_FLOAT, _STRING = 1, 7


def _serialized(message: Any, limits: Limits) -> np.ndarray:
    """Returns the examples of an Input as the graph wants them: object (n,) of bytes."""
    kind = message.WhichOneof("kind")
    examples = getattr(message, kind).examples if kind else ()
    if not examples:
        raise invalid_argument("Input is empty.")
    if len(examples) > limits.rows:
        raise invalid_argument(f"the request has {len(examples)} examples; this server takes at most {limits.rows}")
    # Messages merge when their bytes are joined: so a context is added to an example, whose own features win.
    context = message.example_list_with_context.context.SerializeToString() if "context" in (kind or "") else b""
    serialized = np.empty(len(examples), dtype=object)
    serialized[:] = [context + example.SerializeToString() for example in examples]
    return serialized


def _find(servable: Servable, name: str, method: str, what: str) -> Signature:
    name = name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return _checked(signature, method, what)


def _checked(signature: Signature, method: str, what: str) -> Signature:
    """Refuses a signature that has another method, or the inputs and outputs of another."""
    if signature.method_name != method:
        raise invalid_argument(f"Expected {what} signature method_name to be {method}. Was: {signature.method_name}")
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if _INPUTS not in signature.inputs:
        raise StatusError(Code.FAILED_PRECONDITION, f"No {what} inputs found in SignatureDef: {signature.name}")
    if method == CLASSIFY and not {_CLASSES, _SCORES} & set(signature.outputs):
        raise StatusError(
            Code.FAILED_PRECONDITION,
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
            f"Signature was: {signature.name}",
        )
    if method == REGRESS and _OUTPUTS not in signature.outputs:
        raise StatusError(Code.FAILED_PRECONDITION, f"No regression outputs found in SignatureDef: {signature.name}")
    return signature


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _classifications(signature: Signature, outputs: Outputs, count: int) -> Any:
    parts = {}
    for alias, dtype, name in ((_CLASSES, _STRING, "DT_STRING"), (_SCORES, _FLOAT, "DT_FLOAT")):
        if alias not in signature.outputs:
            continue
        array = as_array(outputs[alias])
        if array.ndim != 2:
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if signature.outputs[alias].dtype != dtype:
            raise invalid_argument(f"Expected {alias} Tensor of {name}. Got: {array.dtype}")
        if len(array) != count:
            raise invalid_argument(f"Expected {alias} output batch size of {count}. Got: {len(array)}")
        parts[alias] = array.tolist()
    result = classification_pb2.ClassificationResult()
    for row in range(count):
        labels, scores = (parts[alias][row] if alias in parts else None for alias in (_CLASSES, _SCORES))
        if labels is not None and scores is not None and len(labels) != len(scores):
            raise invalid_argument(
                f"Tensors class and score should match in dim_size(1). Got {len(labels)} vs. {len(scores)}"
            )
        added = result.classifications.add()
        for column in range(len(labels if labels is not None else scores or ())):
            added.classes.add(
                label="" if labels is None else labels[column].decode(errors="replace"),
                score=0.0 if scores is None else scores[column],
            )
    return result


def _regressions(signature: Signature, outputs: Outputs, count: int) -> Any:
    array = as_array(outputs[_OUTPUTS])
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != count:
        raise invalid_argument(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    if signature.outputs[_OUTPUTS].dtype != _FLOAT:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype}")
    result = regression_pb2.RegressionResult()
    for value in array.ravel().tolist():
        result.regressions.add(value=value)
    return result


def _address(spec: Any, servable: Servable, signature: Signature) -> None:
    spec.name, spec.version.value, spec.signature_name = servable.name, servable.version, signature.name


def classification(servable: Servable, request: Any, limits: Limits) -> tuple[Call, Any]:
    """Checks a ClassificationRequest; returns the call, and a function of its outputs to the ClassificationResponse.

    Raises:
        StatusError: The signature is missing or none for classification, or there is no example.
    """
    signature = _find(servable, request.model_spec.signature_name, CLASSIFY, "classification")
    examples = _serialized(request.input, limits)
    outputs = tuple(sorted({_CLASSES, _SCORES} & set(signature.outputs)))

    def respond(values: Outputs) -> Any:
        response = classification_pb2.ClassificationResponse()
        response.result.CopyFrom(_classifications(signature, values, len(examples)))
        _address(response.model_spec, servable, signature)
        return response

    return Call(signature, [examples], outputs, lambda values: respond(values).SerializeToString()), respond


def regression(servable: Servable, request: Any, limits: Limits) -> tuple[Call, Any]:
    """Checks a RegressionRequest; returns the call, and a function of its outputs to the RegressionResponse.

    Raises:
        StatusError: The signature is missing or none for regression, or there is no example.
    """
    signature = _find(servable, request.model_spec.signature_name, REGRESS, "regression")
    examples = _serialized(request.input, limits)

    def respond(values: Outputs) -> Any:
        response = regression_pb2.RegressionResponse()
        response.result.CopyFrom(_regressions(signature, values, len(examples)))
        _address(response.model_spec, servable, signature)
        return response

    return Call(signature, [examples], (_OUTPUTS,), lambda values: respond(values).SerializeToString()), respond


def classify(servable: Servable, data: bytes, limits: Limits) -> Call:
    """Checks a serialized ClassificationRequest."""
    return classification(servable, parse(classification_pb2.ClassificationRequest, data), limits)[0]


def regress(servable: Servable, data: bytes, limits: Limits) -> Call:
    """Checks a serialized RegressionRequest."""
    return regression(servable, parse(regression_pb2.RegressionRequest, data), limits)[0]


def multi_inference(servable: Servable, data: bytes, limits: Limits) -> Call:
    """Checks a serialized MultiInferenceRequest: several heads over the same examples, computed in one run.

    Raises:
        StatusError: The tasks name several models or one signature twice, don't read the same tensor, or there is no
            example.
    """
    request = parse(inference_pb2.MultiInferenceRequest, data)
    heads = _heads(servable, request.tasks)
    examples = _serialized(request.input, limits)
    joint = dataclasses.replace(
        heads[0],
        name="MultiInference of " + ", ".join(head.name for head in heads),
        outputs={f"{head.name}/{alias}": spec for head in heads for alias, spec in head.outputs.items()},
    )

    def answer(values: Outputs) -> bytes:
        response = inference_pb2.MultiInferenceResponse()
        for head in heads:
            own = {alias: values[f"{head.name}/{alias}"] for alias in head.outputs}
            result = response.results.add()
            _address(result.model_spec, servable, head)
            if head.method_name == CLASSIFY:
                result.classification_result.CopyFrom(_classifications(head, own, len(examples)))
            else:
                result.regression_result.CopyFrom(_regressions(head, own, len(examples)))
        return response.SerializeToString()

    return Call(joint, [examples], tuple(sorted(joint.outputs)), answer)


def _heads(servable: Servable, tasks: Sequence[Any]) -> list[Signature]:
    heads: list[Signature] = []
    for task in tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in (head.name for head in heads):
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        what = "classification" if task.method_name == CLASSIFY else "regression"
        heads.append(_checked(servable.signatures[name], task.method_name, what))
        if heads[-1].inputs[_INPUTS].tensor != heads[0].inputs[_INPUTS].tensor:
            raise invalid_argument("Input tensor must be the same for all Signatures.")
    if not heads:
        raise invalid_argument("Inference request must have at least one task.")
    return heads

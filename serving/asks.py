"""What the clients ask, without the asking: each function makes a request and says how its response is read.

The client that waits and the one of asyncio share it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from serving import histories, tensors, wire
from serving.errors import ServingError
from serving.histories import Recommendations

T = TypeVar("T")
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A decoded PredictResponse.

    Args:
        model: The model's name.
        version: The version that answered.
        signature: The signature that ran.
        outputs: Alias -> array; strings are object arrays of bytes.
    """

    model: str
    version: int
    signature: str
    outputs: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Ask(Generic[T]):
    """A request on its way.

    Args:
        method: `Predict`, `GetModelMetadata` or `GetModelStatus`.
        request: Its message.
        read: Makes the result of the response message.
    """

    method: str
    request: Any
    read: Callable[[Any], T]


def _address(request: Any, model: str, version: int | None, label: str | None = None) -> None:
    if version is not None and label is not None:
        raise ValueError("give a version or a label, not both")
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label


def prediction(
    model: str,
    inputs: Mapping[str, Any],
    signature: str | None = None,
    version: int | None = None,
    label: str | None = None,
    output_filter: Iterable[str] | None = None,
) -> Ask[Prediction]:
    """Asks for a signature's outputs; see `Client.ask`."""
    request = wire.PredictRequest()
    _address(request, model, version, label)
    request.model_spec.signature_name = signature or ""
    request.output_filter.extend(output_filter or ())
    for alias, value in inputs.items():
        tensors.encode(tensors.as_array(value), request.inputs[alias])

    def read(response: Any) -> Prediction:
        spec = response.model_spec
        outputs = {alias: tensors.decode(proto) for alias, proto in sorted(response.outputs.items())}
        return Prediction(spec.name, spec.version.value, spec.signature_name, outputs)

    return Ask("Predict", request, read)


def recommendations(
    model: str,
    history: Sequence[Any],
    k: int = 10,
    exclude: Sequence[Any] = (),
    allow: Sequence[Any] = (),
    exclude_seen: bool = True,
    **options: Any,
) -> Ask[Any]:
    """Asks for ranked items; see `Client.recommend`."""
    if k < 1:
        raise ValueError(f"k is {k}; it must be positive")
    batch = histories.is_batch(history)
    rows = history if batch else [history]
    inputs: dict[str, Any] = {"history": histories.pad_left(rows)}
    if len(exclude) or len(allow) or not exclude_seen:
        options.setdefault("signature", "recommend_filtered")
        for name, given in (("exclude", exclude), ("allow", allow)):
            each = given if histories.is_batch(given) else [given] * len(rows)
            if len(each) != len(rows):
                raise ValueError(f"{len(rows)} histories have {len(each)} lists in {name}")
            inputs[name] = histories.pad_right(each, least=1)
        inputs["exclude_seen"] = np.full(len(rows), exclude_seen)
    ask = prediction(model, inputs, **options)

    def read(response: Any) -> list[Recommendations] | Recommendations:
        outputs = ask.read(response).outputs
        try:
            users = histories.ranked(outputs, k)
        except KeyError as error:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"the signature answers {', '.join(outputs)} and not item_ids and scores",
                "use predict for it",
            ) from error
        return users if batch else users[0]

    return Ask(ask.method, ask.request, read)


def scores(model: str, history: Sequence[Any], candidates: Sequence[Any], **options: Any) -> Ask[Any]:
    """Asks for the scores of candidates; see `Client.score`."""
    options.setdefault("signature", "score")
    batch = histories.is_batch(history) or histories.is_batch(candidates)
    rows, wanted = (history, candidates) if batch else ([history], [candidates])
    if len(rows) != len(wanted):
        raise ValueError(f"{len(rows)} histories have {len(wanted)} lists of candidates")
    ask = prediction(model, {"history": histories.pad_left(rows), "candidates": histories.pad_right(wanted)}, **options)

    def read(response: Any) -> Any:
        found = ask.read(response).outputs["scores"]
        trimmed = [row[: len(ids)] for row, ids in zip(found, wanted, strict=True)]
        return trimmed if batch else trimmed[0]

    return Ask(ask.method, ask.request, read)


def status(model: str, version: int | None = None) -> Ask[dict[int, str]]:
    """Asks for the state of versions; see `Client.status`."""
    request = wire.GetModelStatusRequest()
    _address(request, model, version)
    return Ask(
        "GetModelStatus",
        request,
        lambda response: {
            each.version: _STATES.get(each.state, str(each.state)) for each in response.model_version_status
        },
    )


def metadata(model: str, version: int | None = None) -> Ask[dict[str, Any]]:
    """Asks for the signatures; see `Client.metadata`."""
    request = wire.GetModelMetadataRequest(metadata_field=["signature_def"])
    _address(request, model, version)

    def read(response: Any) -> dict[str, Any]:
        signatures = wire.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
        return {
            name: {"inputs": _describe(definition.inputs), "outputs": _describe(definition.outputs)}
            for name, definition in sorted(signatures.items())
            if definition.method_name  # TensorFlow lists its own initialiser too
        }

    return Ask("GetModelMetadata", request, read)


def _describe(infos: Any) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {
        alias: (
            tensors.dtype_name(info.dtype),
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for alias, info in sorted(infos.items())
    }

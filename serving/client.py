"""A client of TensorFlow Serving's gRPC API that starts fast: no TensorFlow, raw string ids in and out.

Example:
    >>> from serving.client import Client
    >>> with Client("127.0.0.1:8500") as client:  # doctest: +SKIP
    ...     client.recommend("bert4rec", ["50", "181", "172"], k=3).item_ids
    ['174', '173', '98']
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, overload

import numpy as np

from serving import histories, tensors, wire
from serving.channel import Channel
from serving.errors import ServingError
from serving.histories import Recommendations

__all__ = ["DEFAULT_ADDRESS", "DEFAULT_TIMEOUT", "Client", "Prediction", "Recommendations", "ServingError"]

DEFAULT_ADDRESS = "127.0.0.1:8500"
DEFAULT_TIMEOUT = 10.0
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


class Client:
    """Asks a TensorFlow Serving server, `tfrec serve` or the official one.

    Requests have a deadline, and are repeated a few times within it while the server is UNAVAILABLE. Any number of
    threads may share a client.

    Args:
        address: `host:port` of the server's gRPC API.
        timeout: Seconds that a request may take, retries included, where a method isn't told otherwise.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = Channel(address)

    def _call(self, method: str, request: Any, timeout: float | None) -> Any:
        return self._channel.call(method, request, self.timeout if timeout is None else timeout)

    def ask(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        output_filter: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Prediction:
        """Runs a signature; like `predict`, but tells also which version answered.

        Args:
            model: The model's name.
            inputs: Alias -> array or nested list. Lists of floats are sent as float32, lists of ints as int64.
            signature: The signature's name; `serving_default` if None.
            version: The version; the latest if None.
            label: The label of a version, instead of `version`.
            output_filter: Aliases of the outputs to compute; all if None.
            timeout: Seconds; the client's own if None.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time.
            ValueError: Both a version and a label are given.
            TypeError: An input can't be a tensor.
        """
        if version is not None and label is not None:
            raise ValueError("give a version or a label, not both")
        request = wire.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature or ""
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        request.output_filter.extend(output_filter or ())
        for alias, value in inputs.items():
            tensors.encode(tensors.as_array(value), request.inputs[alias])
        response = self._call("Predict", request, timeout)
        spec = response.model_spec
        outputs = {alias: tensors.decode(proto) for alias, proto in sorted(response.outputs.items())}
        return Prediction(spec.name, spec.version.value, spec.signature_name, outputs)

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        output_filter: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a signature and returns its outputs: alias -> array; strings are object arrays of bytes.

        Args and Raises: as of `ask`.
        """
        return self.ask(model, inputs, signature, version, label, output_filter, timeout).outputs

    @overload
    def recommend(
        self, model: str, history: list[list[str]], k: int = ..., **options: Any
    ) -> list[Recommendations]: ...
    @overload
    def recommend(self, model: str, history: Sequence[str], k: int = ..., **options: Any) -> Recommendations: ...

    def recommend(self, model: str, history: Sequence[Any], k: int = 10, **options: Any) -> Any:
        """Ranks the catalogue for one user or for many.

        Args:
            model: The model's name.
            history: The user's item ids, oldest first; may be empty. Or a list of such histories, one for each user.
            k: Items to return; a model exports a largest k, commonly 100.
            **options: `signature` (`recommend` is the default one of our exports), `version`, `label` and `timeout`, as
                of `ask`.

        Returns:
            The ranked items of the user, or a list with those of each user.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time; or what it answered
                are not ranked items (INVALID_ARGUMENT).
            TypeError: A history is not a list of strings.
            ValueError: k is not positive, or an item id is empty.
        """
        if k < 1:
            raise ValueError(f"k is {k}; it must be positive")
        batch = histories.is_batch(history)
        outputs = self.predict(model, {"history": histories.pad_left(history if batch else [history])}, **options)
        try:
            users = histories.ranked(outputs, k)
        except KeyError as error:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"the signature answers {', '.join(outputs)} and not item_ids and scores",
                "use predict for it",
            ) from error
        return users if batch else users[0]

    def score(self, model: str, history: Sequence[Any], candidates: Sequence[Any], **options: Any) -> Any:
        """Scores candidates for one user or for many.

        Args:
            model: The model's name.
            history: The user's item ids, oldest first, or a list of such histories.
            candidates: The item ids to score, or a list of such lists, one for each history.
            **options: `signature` (`score` if not given), `version`, `label` and `timeout`, as of `ask`.

        Returns:
            float (m,) for one user, or a list with one such array for each; unknown candidates have the lowest finite
            float.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time.
            TypeError: A list doesn't hold strings.
            ValueError: The numbers of histories and of lists of candidates differ, or an item id is empty.
        """
        options.setdefault("signature", "score")
        batch = histories.is_batch(history) or histories.is_batch(candidates)
        rows, wanted = (history, candidates) if batch else ([history], [candidates])
        if len(rows) != len(wanted):
            raise ValueError(f"{len(rows)} histories have {len(wanted)} lists of candidates")
        inputs = {"history": histories.pad_left(rows), "candidates": histories.pad_right(wanted)}
        scores = self.predict(model, inputs, **options)["scores"]
        trimmed = [row[: len(ids)] for row, ids in zip(scores, wanted, strict=True)]
        return trimmed if batch else trimmed[0]

    def status(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[int, str]:
        """Returns the state of a model's versions, such as `{2: "AVAILABLE", 1: "UNLOADING"}`.

        Raises:
            ServingError: The server knows no such model or version, wasn't reached, or didn't answer in time.
        """
        request = wire.GetModelStatusRequest()
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        response = self._call("GetModelStatus", request, timeout)
        return {
            status.version: _STATES.get(status.state, str(status.state)) for status in response.model_version_status
        }

    def metadata(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Returns the signatures of a model.

        Returns:
            Signature -> `{"inputs": {alias: (dtype, shape)}, "outputs": ...}`; a shape has -1 where any size is
            allowed.

        Raises:
            ServingError: The server knows no such model or version, wasn't reached, or didn't answer in time.
        """
        request = wire.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        packed = self._call("GetModelMetadata", request, timeout).metadata["signature_def"]
        signatures = wire.SignatureDefMap.FromString(packed.value).signature_def
        return {
            name: {"inputs": _describe(definition.inputs), "outputs": _describe(definition.outputs)}
            for name, definition in sorted(signatures.items())
            if definition.method_name  # TensorFlow lists its own initialiser too
        }

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _describe(infos: Any) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {
        alias: (
            tensors.dtype_name(info.dtype),
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for alias, info in sorted(infos.items())
    }

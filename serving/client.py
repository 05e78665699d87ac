"""A client of TensorFlow Serving's gRPC API that starts fast: no TensorFlow, raw string ids in and out.

Example:
    >>> from serving.client import Client
    >>> with Client("127.0.0.1:8500") as client:  # doctest: +SKIP
    ...     client.recommend("bert4rec", ["50", "181", "172"], k=3).item_ids
    ['174', '173', '98']

`AsyncClient` has the same methods as coroutines.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
import numpy as np

from serving import asks
from serving.asks import Ask, Prediction
from serving.channel import AsyncChannel, Channel
from serving.errors import ServingError
from serving.histories import Recommendations

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_TIMEOUT",
    "AsyncClient",
    "Client",
    "Prediction",
    "Recommendations",
    "ServingError",
]

DEFAULT_ADDRESS = "127.0.0.1:8500"
DEFAULT_TIMEOUT = 10.0
T = TypeVar("T")


class Client:
    """Asks a TensorFlow Serving server, `tfrec serve` or the official one.

    Requests have a deadline, and are repeated a few times within it while the server is UNAVAILABLE. Any number of
    threads may share a client.

    Args:
        address: `host:port` of the server's gRPC API.
        timeout: Seconds that a request may take, retries included, where a method isn't told otherwise.
        tls: Credentials of `grpc.ssl_channel_credentials(...)` for a server with TLS.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout: float = DEFAULT_TIMEOUT,
        tls: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = Channel(address, tls)

    def _send(self, ask: Ask[T], timeout: float | None) -> T:
        seconds = self.timeout if timeout is None else timeout
        return ask.read(self._channel.call(ask.method, ask.request, seconds))

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
        return self._send(asks.prediction(model, inputs, signature, version, label, output_filter), timeout)

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
        self, model: str, history: list[list[str]], k: int = ..., *, timeout: float | None = ..., **options: Any
    ) -> list[Recommendations]: ...
    @overload
    def recommend(
        self, model: str, history: Sequence[str], k: int = ..., *, timeout: float | None = ..., **options: Any
    ) -> Recommendations: ...

    def recommend(
        self, model: str, history: Sequence[Any], k: int = 10, *, timeout: float | None = None, **options: Any
    ) -> Any:
        """Ranks the catalogue for one user or for many.

        Args:
            model: The model's name.
            history: The user's item ids, oldest first; may be empty. Or a list of such histories, one for each user.
            k: Items to return; a model exports a largest k, commonly 100.
            timeout: Seconds; the client's own if None.
            **options: `exclude` and `allow`, lists of item ids (or one such list for each user) that must not, or that
                alone may be recommended; `exclude_seen=False` to recommend items of the history too: with any of the
                three, the signature is `recommend_filtered`. And `signature`, `version` and `label` as of `ask`.

        Returns:
            The ranked items of the user, or a list with those of each user.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time; or what it answered
                are not ranked items (INVALID_ARGUMENT).
            TypeError: A history is not a list of strings.
            ValueError: k is not positive, an item id is empty, or the lists don't go with the histories.
        """
        return self._send(asks.recommendations(model, history, k, **options), timeout)

    def score(
        self,
        model: str,
        history: Sequence[Any],
        candidates: Sequence[Any],
        *,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Scores candidates for one user or for many.

        Args:
            model: The model's name.
            history: The user's item ids, oldest first, or a list of such histories.
            candidates: The item ids to score, or a list of such lists, one for each history.
            timeout: Seconds; the client's own if None.
            **options: `signature` (`score` if not given), `version` and `label`, as of `ask`.

        Returns:
            float (m,) for one user, or a list with one such array for each; unknown candidates have the lowest finite
            float.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time.
            TypeError: A list doesn't hold strings.
            ValueError: The numbers of histories and of lists of candidates differ, or an item id is empty.
        """
        return self._send(asks.scores(model, history, candidates, **options), timeout)

    def status(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[int, str]:
        """Returns the state of a model's versions, such as `{2: "AVAILABLE", 1: "UNLOADING"}`.

        Raises:
            ServingError: The server knows no such model or version, wasn't reached, or didn't answer in time.
        """
        return self._send(asks.status(model, version), timeout)

    def metadata(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Returns the signatures of a model.

        Returns:
            Signature -> `{"inputs": {alias: (dtype, shape)}, "outputs": ...}`; a shape has -1 where any size is
            allowed.

        Raises:
            ServingError: The server knows no such model or version, wasn't reached, or didn't answer in time.
        """
        return self._send(asks.metadata(model, version), timeout)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The methods of `Client` as coroutines, for one event loop.

    Args:
        address: `host:port` of the server's gRPC API.
        timeout: Seconds that a request may take, retries included, where a method isn't told otherwise.
        tls: Credentials of `grpc.ssl_channel_credentials(...)` for a server with TLS.

    Example:
        >>> async with AsyncClient() as client:  # doctest: +SKIP
        ...     await asyncio.gather(*(client.recommend("bert4rec", history) for history in histories))
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout: float = DEFAULT_TIMEOUT,
        tls: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = AsyncChannel(address, tls)

    async def _send(self, ask: Ask[T], timeout: float | None) -> T:
        seconds = self.timeout if timeout is None else timeout
        return ask.read(await self._channel.call(ask.method, ask.request, seconds))

    async def ask(
        self, model: str, inputs: Mapping[str, Any], *, timeout: float | None = None, **options: Any
    ) -> Prediction:
        """Runs a signature; see `Client.ask`."""
        return await self._send(asks.prediction(model, inputs, **options), timeout)

    async def predict(
        self, model: str, inputs: Mapping[str, Any], *, timeout: float | None = None, **options: Any
    ) -> dict[str, np.ndarray]:
        """Runs a signature and returns its outputs; see `Client.predict`."""
        return (await self.ask(model, inputs, timeout=timeout, **options)).outputs

    async def recommend(
        self, model: str, history: Sequence[Any], k: int = 10, *, timeout: float | None = None, **options: Any
    ) -> Any:
        """Ranks the catalogue; see `Client.recommend`."""
        return await self._send(asks.recommendations(model, history, k, **options), timeout)

    async def score(
        self,
        model: str,
        history: Sequence[Any],
        candidates: Sequence[Any],
        *,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Scores candidates; see `Client.score`."""
        return await self._send(asks.scores(model, history, candidates, **options), timeout)

    async def status(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[int, str]:
        """Returns the state of a model's versions; see `Client.status`."""
        return await self._send(asks.status(model, version), timeout)

    async def metadata(self, model: str, version: int | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Returns the signatures of a model; see `Client.metadata`."""
        return await self._send(asks.metadata(model, version), timeout)

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

"""The transport of the clients: a gRPC channel with deadlines, retries and errors that say what to do next."""

import json
import re
from typing import Any

import grpc

from serving import wire
from serving.errors import ServingError

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"
_METHODS = {
    "Predict": (_PREDICTION, wire.PredictRequest, wire.PredictResponse),
    "GetModelMetadata": (_PREDICTION, wire.GetModelMetadataRequest, wire.GetModelMetadataResponse),
    "GetModelStatus": (_MODEL, wire.GetModelStatusRequest, wire.GetModelStatusResponse),
}
# gRPC's own retries: they back off with jitter and end at the deadline. Only UNAVAILABLE is worth repeating: the server
# is starting, stopping or busy; any other answer would be the same again.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],  # where a name leads to several servers, each gets its share
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
# gRPC's own words where no server spoke.
_UNREACHABLE = re.compile(r"connect|DNS|address|socket", re.IGNORECASE)
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def _pretty(error: Any, address: str, model: str, timeout: float) -> ServingError:
    """Makes of gRPC's error one that says what to do next."""
    code, details = error.code().name, error.details() or ""
    advice = ""
    if code == "UNAVAILABLE" and _UNREACHABLE.search(details):
        details = f"no server answers at {address}"
        advice = f"is `tfrec serve` running at {address}?"
    elif code == "UNAVAILABLE":
        advice = "the server is busy, starting or stopping: try again"
    elif code == "DEADLINE_EXCEEDED":
        details = f"no answer from {address} within {timeout:g} s"
        advice = "give it longer: --timeout, or timeout= of the client"
    elif code == "NOT_FOUND":
        advice = f"does the models.config of the server at {address} list model {model!r} with that version?"
    elif code == "FAILED_PRECONDITION" and "ignature" in details:
        advice = f"Client.metadata({model!r}) lists the signatures"
    elif code == "UNIMPLEMENTED":
        advice = f"is the server at {address} a TensorFlow Serving one?"
    return ServingError(code, details, advice)


def _closed(error: Exception) -> ServingError:
    return ServingError("CANCELLED", str(error), "make a new Client: this one was closed")


def _calls(channel: Any) -> dict[str, Any]:
    return {
        method: channel.unary_unary(
            service + method,
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        for method, (service, request, response) in _METHODS.items()
    }


class Channel:
    """Sends requests to one server; any number of threads may share it.

    Args:
        address: `host:port`.
        tls: Credentials of `grpc.ssl_channel_credentials`; None to talk in the clear.
    """

    def __init__(self, address: str, tls: grpc.ChannelCredentials | None = None) -> None:
        self.address = address
        if tls is None:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, tls, options=_OPTIONS)
        self._calls = _calls(self._channel)

    def call(self, method: str, request: Any, timeout: float) -> Any:
        """Sends one request and waits for the answer.

        Args:
            method: `Predict`, `GetModelMetadata` or `GetModelStatus`.
            request: Its message of `serving.wire`.
            timeout: Seconds until the answer must be there, retries included.

        Returns:
            The response message.

        Raises:
            ServingError: The server refused the request, wasn't reached, or didn't answer in time.
        """
        try:
            return self._calls[method](request, timeout=timeout)
        except grpc.RpcError as error:
            raise _pretty(error, self.address, request.model_spec.name, timeout) from error
        except ValueError as error:  # gRPC's word for a channel that was closed
            raise _closed(error) from error

    def close(self) -> None:
        """Closes the connection; requests under way are cancelled."""
        self._channel.close()


class AsyncChannel:
    """Sends requests to one server from one event loop.

    Args:
        address: `host:port`.
        tls: Credentials of `grpc.ssl_channel_credentials`; None to talk in the clear.
    """

    def __init__(self, address: str, tls: grpc.ChannelCredentials | None = None) -> None:
        self.address = address
        if tls is None:
            self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, tls, options=_OPTIONS)
        self._calls = _calls(self._channel)

    async def call(self, method: str, request: Any, timeout: float) -> Any:
        """Sends one request and waits for the answer; arguments, result and errors are those of `Channel.call`."""
        try:
            return await self._calls[method](request, timeout=timeout)
        except grpc.RpcError as error:
            raise _pretty(error, self.address, request.model_spec.name, timeout) from error
        except grpc.aio.UsageError as error:  # gRPC's word for a channel that was closed
            raise _closed(error) from error

    async def close(self) -> None:
        """Closes the connection; requests under way are cancelled."""
        await self._channel.close()

"""From bytes on the wire to a function and back: parsing, deadlines and errors of every gRPC method, in one place."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.server.errors import Code, StatusError, clipped, invalid_argument

_log = logging.getLogger(__name__)
_STATUS = {code.value[0]: code for code in grpc.StatusCode}

Handler = Callable[[bytes, float | None], Awaitable[bytes]]
"""Takes a serialized request and its deadline on the monotonic clock; raises StatusError for an answer that is one."""


def parse(request_class: Any, data: bytes, name: str) -> Any:
    """Parses a request.

    Args:
        request_class: Its class, or one that declares the fields that matter here.
        data: The bytes.
        name: The message's official name.

    Raises:
        StatusError: The bytes are no such message.
    """
    try:
        return request_class.FromString(data)
    except (DecodeError, UnicodeError) as error:
        raise invalid_argument(f"the request is not a {name}") from error


def unary(function: Handler) -> grpc.RpcMethodHandler:
    """Makes a gRPC method of a function.

    Bytes are parsed by the function and not by gRPC, which would log a traceback for each request that isn't a message.

    Returns:
        A handler whose errors are statuses: whatever the function raises, the server goes on.
    """

    async def handle(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            left = context.time_remaining()
            return await function(data, None if left is None else time.monotonic() + left)
        except StatusError as error:
            code, message = error.code, error.message
        except Exception as error:
            _log.exception("a request failed in an unforeseen way")
            code, message = Code.INTERNAL, f"{type(error).__name__}: {error}"
        await context.abort(_STATUS[code], clipped(message))
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(handle)

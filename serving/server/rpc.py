"""From bytes on the wire to a function and back: parsing, deadlines and errors of every method, in one place."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.server.errors import StatusError, clipped, invalid_argument

_log = logging.getLogger(__name__)


def _parse(request_class: Any, data: bytes) -> Any:
    try:
        return request_class.FromString(data)
    except (DecodeError, UnicodeError) as error:
        raise invalid_argument(f"the request is not a {request_class.DESCRIPTOR.full_name}") from error


def _check_deadline(context: grpc.ServicerContext) -> None:
    remaining = context.time_remaining()
    if not context.is_active() or (remaining is not None and remaining <= 0):
        raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request was worked on")


def unary(function: Callable[[Any], Any], request_class: Any) -> grpc.RpcMethodHandler:
    """Makes a gRPC method of a function.

    The bytes are parsed here and not by gRPC, which would log a traceback for each request that isn't a message.
    A request that waited until its deadline is not begun; one that was begun runs to its end, since a session can't be
    interrupted, and gRPC drops the late answer.

    Args:
        function: Takes a request and returns a response; raises StatusError for an answer that is an error.
        request_class: The request's message class.

    Returns:
        A handler whose errors are statuses: whatever the function raises, the server goes on.
    """

    def handle(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            _check_deadline(context)
            request = _parse(request_class, data)
            return function(request).SerializeToString()
        except StatusError as error:
            status, message = error.code, error.message
        except MemoryError:
            status, message = grpc.StatusCode.RESOURCE_EXHAUSTED, "the request needs more memory than there is"
        except Exception as error:
            _log.exception("a request failed in an unforeseen way")
            status, message = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        return context.abort(status, clipped(message))

    return grpc.unary_unary_rpc_method_handler(handle)

"""Errors of the server: those that a request is answered with, and those that keep it from starting."""

import grpc

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MAX_MESSAGE_BYTES = 1024


class StartupError(Exception):
    """The server can't start; the message is one clear line."""


class StatusError(Exception):
    """A request is answered with this status.

    Args:
        code: The gRPC status code.
        message: The text, as TensorFlow Serving words it where it has a word for it.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """Returns an INVALID_ARGUMENT status."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """Returns a NOT_FOUND status."""
    return StatusError(grpc.StatusCode.NOT_FOUND, message)


def from_number(number: int, message: str) -> StatusError:
    """Returns the status of an error that TensorFlow raised.

    Args:
        number: The error's code; TensorFlow and gRPC number them alike.
        message: The error's message.
    """
    return StatusError(_CODES.get(number, grpc.StatusCode.UNKNOWN), message)


def clipped(message: str) -> str:
    """Returns a message that fits into gRPC's trailing metadata.

    A longer one would be lost altogether: the client would see RESOURCE_EXHAUSTED for its metadata instead.
    """
    encoded = message.encode(errors="replace")
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return message
    return encoded[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + "...TRUNCATED"


def first_line(error: BaseException) -> str:
    """Returns what an exception says in one line; its type when it says nothing."""
    lines = str(getattr(error, "message", None) or error).splitlines()
    # TensorFlow puts a heading above what it has to say.
    said = [line.strip() for line in lines if line.strip() and line.strip() != "Graph execution error:"]
    return said[0] if said else type(error).__name__

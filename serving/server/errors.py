"""Errors of the server: those that a request is answered with, and those that keep it from starting."""

import enum

_MAX_MESSAGE_BYTES = 1024


class StartupError(Exception):
    """The server can't start, or a configuration can't be taken over; the message is one clear line."""


class Code(enum.IntEnum):
    """Status codes; gRPC and TensorFlow number them alike."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class StatusError(Exception):
    """A request is answered with this status.

    Args:
        code: The status code.
        message: The text, as TensorFlow Serving words it where it has a word for it.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """Returns an INVALID_ARGUMENT status."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """Returns a NOT_FOUND status."""
    return StatusError(Code.NOT_FOUND, message)


_KNOWN = frozenset(Code)


def from_number(number: int, message: str) -> StatusError:
    """Returns the status of an error that TensorFlow raised.

    Args:
        number: The error's code.
        message: The error's message.
    """
    return StatusError(Code(number) if number in _KNOWN else Code.UNKNOWN, message)


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

"""What the front and the process of a model say to each other over a socket: framed requests and answers.

The front passes a request on as the bytes that the client sent; the process answers with a status and the bytes for the
client. Frames are numbered, so that answers may come in any order.
"""

import dataclasses
import enum
import math
import struct

_REQUEST = struct.Struct("=QBdI")
_RESPONSE = struct.Struct("=QBffI")
REQUEST_SIZE = _REQUEST.size
RESPONSE_SIZE = _RESPONSE.size

LOADED = 0
"""Number of the first frame that a process sends: it has loaded its version, or the reason why not."""


class Method(enum.IntEnum):
    """What a request asks for; the REST ones carry the JSON body."""

    PREDICT = 1
    CLASSIFY = 2
    REGRESS = 3
    MULTI_INFERENCE = 4
    REST_PREDICT = 5
    REST_CLASSIFY = 6
    REST_REGRESS = 7


@dataclasses.dataclass(frozen=True)
class Request:
    """The head of a request frame.

    Args:
        number: Names the answer.
        method: What is asked for.
        deadline: On the monotonic clock, which all processes share; infinite without one.
        size: Bytes that follow.
    """

    number: int
    method: Method
    deadline: float
    size: int

    @classmethod
    def unpack(cls, data: bytes) -> "Request":
        """Reads `REQUEST_SIZE` bytes."""
        number, method, deadline, size = _REQUEST.unpack(data)
        return cls(number, Method(method), deadline, size)


@dataclasses.dataclass(frozen=True)
class Response:
    """The head of an answer frame.

    Args:
        number: That of the request.
        code: A status code.
        runtime: Seconds in the session.
        queued: Seconds in the batching queue; NaN without one.
        size: Bytes that follow: the answer, or the error's message as UTF-8.
    """

    number: int
    code: int
    runtime: float
    queued: float
    size: int

    @classmethod
    def unpack(cls, data: bytes | bytearray) -> "Response":
        """Reads `RESPONSE_SIZE` bytes."""
        return cls(*_RESPONSE.unpack(data))


def pack_request(number: int, method: Method, deadline: float | None, size: int) -> bytes:
    """Makes the head of a request."""
    return _REQUEST.pack(number, method, math.inf if deadline is None else deadline, size)


def pack_response(number: int, code: int, size: int, runtime: float = 0.0, queued: float = math.nan) -> bytes:
    """Makes the head of an answer."""
    return _RESPONSE.pack(number, code, runtime, queued, size)

"""The front's end of a version's process: numbered requests out, answers back in any order."""

import asyncio
import dataclasses
import itertools
import json
import math

from serving.server.errors import Code, StatusError
from serving.server.frames import LOADED, RESPONSE_SIZE, Method, Response, pack_request


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a process answered.

    Args:
        code: The status.
        payload: The answer, or the error's message as UTF-8.
        runtime: Seconds in the session.
        queued: Seconds in the batching queue; NaN without one.
    """

    code: Code
    payload: bytes
    runtime: float = 0.0
    queued: float = math.nan


class WorkerLink(asyncio.Protocol):
    """A connection to a version's process.

    Attributes:
        pid: The process, once it runs.
        loaded: The version's metadata as JSON, once it has loaded; its exception is why it could not.
        ended: Done when the process has hung up.
        exit_code: Of the process, negative for a signal; known shortly after `ended`.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self.loaded: asyncio.Future[bytes] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.exit_code: asyncio.Future[int] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._numbers = itertools.count(LOADED + 1)
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        at = 0
        while len(received) - at >= RESPONSE_SIZE:
            head = Response.unpack(received[at : at + RESPONSE_SIZE])
            end = at + RESPONSE_SIZE + head.size
            if len(received) < end:
                break
            self._answered(head, bytes(received[at + RESPONSE_SIZE : end]))
            at = end
        del received[:at]

    def _answered(self, head: Response, payload: bytes) -> None:
        if head.number == LOADED:
            if head.code == Code.OK:
                self.loaded.set_result(payload)
            else:
                self.loaded.set_exception(StatusError(Code(head.code), payload.decode()))
            return
        waiter = self._pending.get(head.number)
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(Code(head.code), payload, head.runtime, head.queued))

    def connection_lost(self, exc: Exception | None) -> None:
        for waiter in self._pending.values():
            if not waiter.done():
                waiter.set_exception(StatusError(Code.UNAVAILABLE, "the process of the model ended"))
        if not self.loaded.done():
            self.loaded.set_exception(StatusError(Code.UNAVAILABLE, "the process ended while it loaded the model"))
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def under_way(self) -> int:
        """Requests that wait for an answer."""
        return len(self._pending)

    def describe(self) -> dict[str, str]:
        """The version's metadata: `metadata` (base64 of a SignatureDefMap) and `json`; once it is loaded."""
        return json.loads(self.loaded.result())

    async def call(self, method: Method, payload: bytes, deadline: float | None) -> Answer:
        """Sends a request and waits for its answer.

        Args:
            method: What is asked for.
            payload: The request as the client sent it.
            deadline: On the monotonic clock; None for none. It is the process that refuses a late request.

        Raises:
            StatusError: UNAVAILABLE, when the process ended.
        """
        if self._transport is None or self.ended.done():
            raise StatusError(Code.UNAVAILABLE, "the process of the model ended")
        number = next(self._numbers)
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = waiter
        self._idle.clear()
        try:
            head = pack_request(number, method, deadline, len(payload))
            self._transport.write(head + payload)
            return await waiter
        finally:
            del self._pending[number]
            if not self._pending:
                self._idle.set()

    async def drain(self) -> None:
        """Waits until no request is under way."""
        await self._idle.wait()

    def close(self) -> None:
        """Hangs up, which ends the process."""
        if self._transport is not None:
            self._transport.close()

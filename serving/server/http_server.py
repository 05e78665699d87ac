"""HTTP/1.1 on asyncio streams, with bounds on everything that a client controls: sizes, times and connections."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable

import h11

_log = logging.getLogger(__name__)
_READ = 1 << 16
_MAX_HEAD = 1 << 16
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    413: "Payload Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclasses.dataclass(frozen=True)
class HttpRequest:
    """A request, complete.

    Args:
        method: Such as `GET`.
        target: Path and query as they were sent.
        body: The body, empty without one.
    """

    method: str
    target: str
    body: bytes


@dataclasses.dataclass(frozen=True)
class HttpResponse:
    """An answer.

    Args:
        status: HTTP status.
        body: What it says.
        content_type: Of the body.
        headers: Names and values of further headers.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


Handle = Callable[[HttpRequest], Awaitable[HttpResponse]]
Refuse = Callable[[int, str], HttpResponse]


class HttpServer:
    """Answers HTTP requests on a port.

    Args:
        handle: Makes the answer to a request; must not raise.
        refuse: Makes the answer to what is not a request: from a status and what is wrong.
        max_body: Bytes of the largest body.
        timeout: Seconds that a client may take to send a request, and to take an answer.
        max_connections: Connections at the same time; more are closed at once.
    """

    def __init__(
        self, handle: Handle, refuse: Refuse, max_body: int, timeout: float = 30.0, max_connections: int = 1024
    ) -> None:
        self._handle, self._refuse = handle, refuse
        self._max_body, self._timeout, self._max_connections = max_body, timeout, max_connections
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], bool] = {}  # whether a request is under way
        self._stopping = False

    async def start(self, host: str, port: int) -> int:
        """Listens.

        Returns:
            The port.

        Raises:
            OSError: The address can't be listened on.
        """
        self._server = await asyncio.start_server(self._connected, host, port, backlog=512)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self, seconds: float) -> None:
        """Takes no new connection, lets requests under way finish for some seconds, then closes all."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task, busy in list(self._connections.items()):
            if not busy:
                task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=seconds)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._max_connections:
            writer.transport.abort()
            return
        self._connections[task] = False
        try:
            await self._converse(_Connection(reader, writer, self._max_body, self._timeout), task)
        except (ConnectionError, asyncio.TimeoutError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception:
            _log.exception("a connection failed in an unforeseen way")
            writer.transport.abort()
        finally:
            del self._connections[task]
            with contextlib.suppress(Exception):
                writer.close()

    async def _converse(self, connection: "_Connection", task: asyncio.Task[None]) -> None:
        while not self._stopping:
            try:
                request = await connection.receive()
            except _NoRequest as error:
                await connection.send(self._refuse(error.status, error.reason), close=True)
                return
            if request is None:
                return
            self._connections[task] = True
            response = await self._handle(request)
            goes_on = await connection.send(response, close=self._stopping)
            self._connections[task] = False
            if not goes_on:
                return


class _NoRequest(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Connection:
    """One client: requests in, answers out."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_body: int, timeout: float
    ) -> None:
        self._reader, self._writer = reader, writer
        self._max_body, self._timeout = max_body, timeout
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._method = b"GET"

    async def receive(self) -> HttpRequest | None:
        """Waits for a request; None when the client has left or stays silent between two requests.

        Raises:
            _NoRequest: What comes is no HTTP request, too large, or too slow.
        """
        if not self._protocol.trailing_data[0]:
            try:
                data = await asyncio.wait_for(self._reader.read(_READ), self._timeout)
            except asyncio.TimeoutError:
                return None
            self._protocol.receive_data(data)
            if not data:
                return None
        try:
            return await asyncio.wait_for(self._request(), self._timeout)
        except asyncio.TimeoutError:
            raise _NoRequest(408, f"the request did not arrive within {self._timeout:g} s") from None
        except h11.RemoteProtocolError as error:
            raise _NoRequest(400, f"Malformed request: {error}") from error

    async def _request(self) -> HttpRequest | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                if self._protocol.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._writer.write(self._protocol.send(go_on) or b"")
                self._protocol.receive_data(await self._reader.read(_READ))
            elif isinstance(event, h11.Request):
                head = event
                self._method = event.method
                announced = dict(event.headers).get(b"content-length", b"0")
                if int(announced) > self._max_body:
                    raise self._too_large()
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._max_body:
                    raise self._too_large()
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return HttpRequest(head.method.decode("ascii"), head.target.decode("latin-1"), bytes(body))
            else:
                return None  # the client has left

    def _too_large(self) -> _NoRequest:
        return _NoRequest(413, f"the request is larger than {self._max_body} bytes")

    async def send(self, response: HttpResponse, close: bool) -> bool:
        """Sends an answer; tells whether the connection goes on."""
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("X-Content-Type-Options", "nosniff"),
            *response.headers,
        ]
        if close:
            headers.append(("Connection", "close"))
        if self._protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        reason = _REASONS.get(response.status, "Error")
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        parts = [self._protocol.send(head)]
        if self._method != b"HEAD":
            parts.append(self._protocol.send(h11.Data(data=response.body)))
        parts.append(self._protocol.send(h11.EndOfMessage()))
        self._writer.write(b"".join(part for part in parts if part))
        await asyncio.wait_for(self._writer.drain(), self._timeout)
        if close or self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            await self._leave()
            return False
        self._protocol.start_next_cycle()
        return True

    async def _leave(self) -> None:
        """Hangs up so that the client can read the answer: what it still sends is read and forgotten for a moment."""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

            async def forget() -> None:
                while await self._reader.read(_READ):
                    pass

            await asyncio.wait_for(forget(), 1.0)

"""From a request that has arrived, by gRPC or REST, to the process of its model and back: limits and metrics."""

import asyncio
import math
import time
from typing import Any

from serving.server.errors import Code, StatusError
from serving.server.frames import Method
from serving.server.manager import Manager
from serving.server.metrics import ServerMetrics

_API = {
    Method.PREDICT: "Predict",
    Method.CLASSIFY: "Classify",
    Method.REGRESS: "Regress",
    Method.MULTI_INFERENCE: "MultiInference",
    Method.REST_PREDICT: "Predict",
    Method.REST_CLASSIFY: "Classify",
    Method.REST_REGRESS: "Regress",
}


class Router:
    """Passes requests on.

    Args:
        manager: Knows the processes.
        metrics: Counts.
        max_requests: Requests under way at the same time; more are answered with UNAVAILABLE.
        max_bytes: The same for the sum of their sizes.
    """

    def __init__(self, manager: Manager, metrics: ServerMetrics, max_requests: int, max_bytes: int) -> None:
        self.manager = manager
        self.metrics = metrics
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self._requests = self._bytes = 0

    async def call(self, method: Method, spec: Any, payload: bytes, deadline: float | None) -> bytes:
        """Has a request answered by the version that it asks for.

        Args:
            method: What is asked for.
            spec: The request's ModelSpec.
            payload: The request.
            deadline: On the monotonic clock; None for none.

        Returns:
            The bytes for the client.

        Raises:
            StatusError: Any error that the client is to see.
        """
        began = time.monotonic()
        api, rest = _API[method], method >= Method.REST_PREDICT
        try:
            self._enter(len(payload))
            try:
                _, link = self.manager.resolve(spec)
                answer = await link.call(method, payload, deadline)
            finally:
                self._requests -= 1
                self._bytes -= len(payload)
            if answer.code != Code.OK:
                raise StatusError(answer.code, answer.payload.decode(errors="replace"))
        except StatusError as error:
            self.metrics.request_count.add(spec.name, error.code.name)
            raise
        except asyncio.CancelledError:
            late = deadline is not None and time.monotonic() >= deadline
            self.metrics.request_count.add(spec.name, "DEADLINE_EXCEEDED" if late else "CANCELLED")
            raise
        self.metrics.request_count.add(spec.name, "OK")
        self.metrics.request_latency.observe(
            (time.monotonic() - began) * 1e6, spec.name, api, "REST" if rest else "GRPC"
        )
        self.metrics.runtime_latency.observe(answer.runtime * 1e6, spec.name, api, "TF1")
        if not math.isnan(answer.queued):
            self.metrics.queuing_latency.observe(answer.queued * 1e6, spec.name)
        return answer.payload

    def _enter(self, size: int) -> None:
        if self._requests >= self._max_requests or (self._requests and self._bytes + size > self._max_bytes):
            raise StatusError(
                Code.UNAVAILABLE, f"the server has {self._requests} requests under way and takes no more for now"
            )
        self._requests += 1
        self._bytes += size

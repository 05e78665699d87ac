"""grpc.health.v1.Health: whether the server answers, for load balancers and orchestrators."""

import asyncio
from collections.abc import AsyncIterator

import grpc

from serving.server import model_service, prediction_service, rpc
from serving.server.errors import not_found
from serving.server.messages import HealthCheckRequest, HealthCheckResponse

SERVICE = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = 1, 2, 3
_KNOWN = frozenset({"", prediction_service.SERVICE, model_service.SERVICE})


class HealthService:
    """The methods of the service."""

    def __init__(self) -> None:
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """From now on the server is not serving."""
        self._draining.set()

    def _status(self, service: str) -> int:
        if service not in _KNOWN:
            return _SERVICE_UNKNOWN
        return _NOT_SERVING if self._draining.is_set() else _SERVING

    async def check(self, data: bytes, _deadline: float | None) -> bytes:
        """Answers Check.

        Raises:
            StatusError: NOT_FOUND for a service that isn't here.
        """
        status = self._status(rpc.parse(HealthCheckRequest, data, "grpc.health.v1.HealthCheckRequest").service)
        if status == _SERVICE_UNKNOWN:
            raise not_found("unknown service")
        return HealthCheckResponse(status=status).SerializeToString()

    async def watch(self, data: bytes, _context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Answers Watch: the status now, and again when it changes."""
        service = rpc.parse(HealthCheckRequest, data, "grpc.health.v1.HealthCheckRequest").service
        yield HealthCheckResponse(status=self._status(service)).SerializeToString()
        await self._draining.wait()
        yield HealthCheckResponse(status=self._status(service)).SerializeToString()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {"Check": rpc.unary(self.check), "Watch": grpc.unary_stream_rpc_method_handler(self.watch)},
        )

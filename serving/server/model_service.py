"""tensorflow.serving.ModelService: GetModelStatus and HandleReloadConfigRequest."""

import logging
from typing import Any

import grpc

from serving import wire
from serving.server import model_config, rpc
from serving.server.errors import Code, StartupError, StatusError, invalid_argument
from serving.server.manager import Manager
from serving.server.messages import ReloadConfigRequest, ReloadConfigResponse
from serving.server.watcher import Watcher

SERVICE = "tensorflow.serving.ModelService"
_log = logging.getLogger(__name__)


class ModelService:
    """The methods of the service.

    Args:
        manager: Knows the versions.
        watcher: Takes over configurations.
    """

    def __init__(self, manager: Manager, watcher: Watcher) -> None:
        self._manager = manager
        self._watcher = watcher

    def status(self, spec: Any) -> Any:
        """Returns the GetModelStatusResponse for a ModelSpec: the state of a model's versions, newest first.

        Raises:
            StatusError: As `Manager.status` says.
        """
        response = wire.GetModelStatusResponse()
        for version in self._manager.status(spec):
            status = response.model_version_status.add(version=version.number, state=int(version.state))
            status.status.SetInParent()  # OK is an empty status, but one that is there
            if version.error is not None:
                status.status.error_code, status.status.error_message = int(version.error.code), version.error.message
        return response

    async def get_model_status(self, data: bytes, _deadline: float | None) -> bytes:
        """Answers GetModelStatus."""
        request = rpc.parse(wire.GetModelStatusRequest, data, "tensorflow.serving.GetModelStatusRequest")
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        return self.status(request.model_spec).SerializeToString()

    async def handle_reload_config_request(self, data: bytes, _deadline: float | None) -> bytes:
        """Takes over a configuration, as if models.config had changed; answers when its models serve.

        Raises:
            StatusError: TensorFlow Serving would refuse it; what is served stays as it was, or, where a version can't
                be loaded, the models are those of the configuration and the versions those that serve already.
        """
        request = rpc.parse(ReloadConfigRequest, data, "tensorflow.serving.ReloadConfigRequest")
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        try:
            await self._watcher.reload(model_config.from_message(request.config, "ReloadConfigRequest"))
        except StartupError as error:
            raise invalid_argument(str(error)) from error
        except StatusError as error:
            _log.error("ReloadConfig failed: %s", error.message)
            raise
        response = ReloadConfigResponse()
        response.status.error_code = int(Code.OK)
        response.status.SetInParent()
        return response.SerializeToString()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetModelStatus": rpc.unary(self.get_model_status),
                "HandleReloadConfigRequest": rpc.unary(self.handle_reload_config_request),
            },
        )

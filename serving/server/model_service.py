"""tensorflow.serving.ModelService: GetModelStatus.

HandleReloadConfigRequest isn't there yet: gRPC answers UNIMPLEMENTED for a method without a handler.
"""

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from serving.server import rpc
from serving.server.errors import invalid_argument
from serving.server.manager import Manager

SERVICE = "tensorflow.serving.ModelService"


class ModelService:
    """The methods of the service.

    Args:
        manager: Knows the versions.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def get_model_status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Returns the state of a model's versions, newest first.

        Raises:
            StatusError: As `Manager.status` says.
        """
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._manager.status(request.model_spec):
            status = response.model_version_status.add(
                version=version, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
            )
            status.status.SetInParent()  # OK is an empty status, but one that is there
        return response

    def handlers(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {"GetModelStatus": rpc.unary(self.get_model_status, get_model_status_pb2.GetModelStatusRequest)},
        )

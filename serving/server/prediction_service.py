"""tensorflow.serving.PredictionService: Predict, Classify, Regress, MultiInference and GetModelMetadata."""

import base64

import grpc

from serving import wire
from serving.server import rpc
from serving.server.errors import invalid_argument
from serving.server.frames import Method
from serving.server.messages import Addressed, AddressedTasks
from serving.server.router import Router

SERVICE = "tensorflow.serving.PredictionService"
_SIGNATURE_DEF = "signature_def"
_SIGNATURE_DEF_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_METHODS = {
    "Predict": (Method.PREDICT, "tensorflow.serving.PredictRequest"),
    "Classify": (Method.CLASSIFY, "tensorflow.serving.ClassificationRequest"),
    "Regress": (Method.REGRESS, "tensorflow.serving.RegressionRequest"),
}


class PredictionService:
    """The methods of the service.

    Args:
        router: Passes requests on to the models.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def _addressed(self, method: Method, name: str) -> rpc.Handler:
        async def handle(data: bytes, deadline: float | None) -> bytes:
            request = rpc.parse(Addressed, data, name)
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            return await self._router.call(method, request.model_spec, data, deadline)

        return handle

    async def multi_inference(self, data: bytes, deadline: float | None) -> bytes:
        """Runs several signatures of one model on the same examples."""
        tasks = rpc.parse(AddressedTasks, data, "tensorflow.serving.MultiInferenceRequest").tasks
        if not tasks:
            raise invalid_argument("Inference request must have at least one task.")
        return await self._router.call(Method.MULTI_INFERENCE, tasks[0].model_spec, data, deadline)

    async def get_model_metadata(self, data: bytes, _deadline: float | None) -> bytes:
        """Returns the signatures of a version, packed as SignatureDefMap.

        Raises:
            StatusError: INVALID_ARGUMENT for a field other than `signature_def`, or as `Manager.resolve` says.
        """
        request = rpc.parse(wire.GetModelMetadataRequest, data, "tensorflow.serving.GetModelMetadataRequest")
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        version, link = self._router.manager.resolve(request.model_spec)
        response = wire.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version
        packed = response.metadata[_SIGNATURE_DEF]
        packed.type_url, packed.value = _SIGNATURE_DEF_TYPE, base64.b64decode(link.describe()["metadata"])
        return response.SerializeToString()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        methods = {name: rpc.unary(self._addressed(*how)) for name, how in _METHODS.items()}
        methods["MultiInference"] = rpc.unary(self.multi_inference)
        methods["GetModelMetadata"] = rpc.unary(self.get_model_metadata)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

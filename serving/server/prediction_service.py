"""tensorflow.serving.PredictionService: Predict and GetModelMetadata.

Classify, Regress and MultiInference aren't there yet: gRPC answers UNIMPLEMENTED for a method without a handler.
"""

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from serving.server import predict, rpc
from serving.server.errors import invalid_argument
from serving.server.manager import Manager

SERVICE = "tensorflow.serving.PredictionService"
_SIGNATURE_DEF = "signature_def"


class PredictionService:
    """The methods of the service.

    Args:
        manager: Finds the servables.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Runs a signature on the request's tensors.

        Raises:
            StatusError: As `Manager.resolve` and `predict.predict` say.
        """
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        return predict.predict(self._manager.resolve(request.model_spec), request)

    def get_model_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a version, packed as SignatureDefMap.

        Raises:
            StatusError: INVALID_ARGUMENT for a field other than `signature_def`, or as `Manager.resolve` says.
        """
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        servable = self._manager.resolve(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
        return response

    def handlers(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Predict": rpc.unary(self.predict, predict_pb2.PredictRequest),
                "GetModelMetadata": rpc.unary(self.get_model_metadata, get_model_metadata_pb2.GetModelMetadataRequest),
            },
        )

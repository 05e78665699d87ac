"""The descriptors of Predict for tools such as grpcurl, which need them where a server has no reflection."""

from google.protobuf import descriptor_pb2

from serving import wire


def predict() -> bytes:
    """Returns a FileDescriptorSet with `tensorflow.serving.PredictionService/Predict`.

    The messages are the light client's: their bytes are TensorFlow Serving's, so the official image takes them too.
    """
    messages = descriptor_pb2.FileDescriptorProto()
    wire.PredictRequest.DESCRIPTOR.file.CopyToProto(messages)
    service = descriptor_pb2.FileDescriptorProto(
        name="prediction_service.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[messages.name],
        service=[
            descriptor_pb2.ServiceDescriptorProto(
                name="PredictionService",
                method=[
                    descriptor_pb2.MethodDescriptorProto(
                        name="Predict",
                        input_type=f".{wire.PredictRequest.DESCRIPTOR.full_name}",
                        output_type=f".{wire.PredictResponse.DESCRIPTOR.full_name}",
                    )
                ],
            )
        ],
    )
    return descriptor_pb2.FileDescriptorSet(file=[messages, service]).SerializeToString()

"""GetModelMetadata and GetModelStatus through the official stubs."""

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

TIMEOUT = 120
CODES = grpc.StatusCode


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def fill(request, name="recs", version=None, label=None):
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    return request


def metadata(fields=("signature_def",), **spec):
    return fill(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields), **spec)


def status(**spec):
    return fill(get_model_status_pb2.GetModelStatusRequest(), **spec)


def error_of(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=TIMEOUT)
    return caught.value.code(), caught.value.details()


def test_metadata(prediction):
    response = prediction.GetModelMetadata(metadata(label="stable"), timeout=TIMEOUT)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.version_label, spec.signature_name) == ("recs", 1, "", "")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"recommend", "serving_default", "score"} <= set(signatures.signature_def)
    history = signatures.signature_def["recommend"].inputs["history"]
    assert (history.dtype, [dim.size for dim in history.tensor_shape.dim]) == (7, [-1, -1])
    assert signatures.signature_def["recommend"].method_name == "tensorflow/serving/predict"


def test_metadata_errors(prediction):
    ask = prediction.GetModelMetadata
    assert error_of(ask, metadata(fields=["x"])) == (
        CODES.INVALID_ARGUMENT,
        "Metadata field x is not supported",
    )
    assert error_of(ask, metadata(fields=[])) == (
        CODES.INVALID_ARGUMENT,
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    assert error_of(ask, metadata(name="")) == (CODES.INVALID_ARGUMENT, "ModelSpec has no name specified.")
    assert error_of(ask, metadata(name="m")) == (CODES.NOT_FOUND, "Servable not found for request: Latest(m)")
    assert error_of(ask, metadata(version=7)) == (CODES.NOT_FOUND, "Servable not found for request: Specific(recs, 7)")
    assert error_of(ask, metadata(label="x")) == (
        CODES.INVALID_ARGUMENT,
        "Unrecognized servable version label: x",
    )
    empty = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    assert error_of(ask, empty) == (CODES.INVALID_ARGUMENT, "Missing ModelSpec")


def test_status(model):
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE

    def versions(**spec):
        response = model.GetModelStatus(status(**spec), timeout=TIMEOUT)
        for version in response.model_version_status:
            assert version.state == available
            assert version.HasField("status")
            assert (version.status.error_code, version.status.error_message) == (0, "")
        return [version.version for version in response.model_version_status]

    assert versions() == [2, 1]
    assert versions(version=1) == [1]
    assert versions(label="canary") == [2]
    assert versions(name="kinds") == [7]


def test_status_errors(model):
    ask = model.GetModelStatus
    assert error_of(ask, status(name="m")) == (CODES.NOT_FOUND, "Could not find any versions of model m")
    assert error_of(ask, status(version=7)) == (CODES.NOT_FOUND, "Could not find version 7 of model recs")
    assert error_of(ask, status(label="x")) == (CODES.INVALID_ARGUMENT, "Unrecognized servable version label: x")
    assert error_of(ask, get_model_status_pb2.GetModelStatusRequest()) == (CODES.INVALID_ARGUMENT, "Missing ModelSpec")

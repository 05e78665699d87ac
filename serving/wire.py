"""The messages of TensorFlow Serving's API, built without TensorFlow.

The official classes live in packages that import all of TensorFlow, which takes seconds. These have the same field
numbers and types, so their bytes are the same, but a package name and a descriptor pool of their own: both families can
be loaded in one process. Only the fields that the client uses are declared; others stay in a message as unknown fields.
"""

from serving.messages import declare

# Enums are int32 here: the same bytes, and no second list of their names.
_MESSAGES: dict[str, dict[str, str]] = {
    "Dim": {"size": "int64 = 1", "name": "string = 2"},
    "TensorShapeProto": {"dim": "*Dim = 2", "unknown_rank": "bool = 3"},
    "TensorProto": {
        "dtype": "int32 = 1",
        "tensor_shape": "TensorShapeProto = 2",
        "version_number": "int32 = 3",
        "tensor_content": "bytes = 4",
        "float_val": "*float = 5",
        "double_val": "*double = 6",
        "int_val": "*int32 = 7",
        "string_val": "*bytes = 8",
        "scomplex_val": "*float = 9",
        "int64_val": "*int64 = 10",
        "bool_val": "*bool = 11",
        "dcomplex_val": "*double = 12",
        "half_val": "*int32 = 13",
        "uint32_val": "*uint32 = 16",
        "uint64_val": "*uint64 = 17",
    },
    "Int64Value": {"value": "int64 = 1"},
    "Any": {"type_url": "string = 1", "value": "bytes = 2"},
    "ModelSpec": {
        "name": "string = 1",
        "version": "Int64Value = 2",
        "signature_name": "string = 3",
        "version_label": "string = 4",
    },
    "PredictRequest": {"model_spec": "ModelSpec = 1", "inputs": "{TensorProto} = 2", "output_filter": "*string = 3"},
    "PredictResponse": {"outputs": "{TensorProto} = 1", "model_spec": "ModelSpec = 2"},
    "GetModelStatusRequest": {"model_spec": "ModelSpec = 1"},
    "StatusProto": {"error_code": "int32 = 1", "error_message": "string = 2"},
    "ModelVersionStatus": {"version": "int64 = 1", "state": "int32 = 2", "status": "StatusProto = 3"},
    "GetModelStatusResponse": {"model_version_status": "*ModelVersionStatus = 1"},
    "GetModelMetadataRequest": {"model_spec": "ModelSpec = 1", "metadata_field": "*string = 2"},
    "GetModelMetadataResponse": {"model_spec": "ModelSpec = 1", "metadata": "{Any} = 2"},
    "TensorInfo": {"name": "string = 1", "dtype": "int32 = 2", "tensor_shape": "TensorShapeProto = 3"},
    "SignatureDef": {"inputs": "{TensorInfo} = 1", "outputs": "{TensorInfo} = 2", "method_name": "string = 3"},
    "SignatureDefMap": {"signature_def": "{SignatureDef} = 1"},
}
_ONEOFS: dict[str, dict[str, tuple[str, ...]]] = {
    "ModelSpec": {"version_choice": ("version", "version_label")},
    "TensorInfo": {"encoding": ("name",)},  # the others describe sparse and ragged tensors
}

_classes = declare("tfrec.wire", _MESSAGES, _ONEOFS)

TensorProto = _classes["TensorProto"]
ModelSpec = _classes["ModelSpec"]
PredictRequest = _classes["PredictRequest"]
PredictResponse = _classes["PredictResponse"]
GetModelStatusRequest = _classes["GetModelStatusRequest"]
GetModelStatusResponse = _classes["GetModelStatusResponse"]
GetModelMetadataRequest = _classes["GetModelMetadataRequest"]
GetModelMetadataResponse = _classes["GetModelMetadataResponse"]
SignatureDefMap = _classes["SignatureDefMap"]

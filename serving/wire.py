"""The messages of TensorFlow Serving's API, built without TensorFlow.

The official classes live in packages that import all of TensorFlow, which takes seconds. These have the same field
numbers and types, so their bytes are the same, but a package name and a descriptor pool of their own: both families can
be loaded in one process. Only the fields that the client uses are declared; others stay in a message as unknown fields.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfrec.wire"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}

# Message -> field -> "type = number", in protobuf's own words; `*T` is a repeated field, `{T}` a map from string to T.
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


def _set_type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


def _add_map(message: Any, field: Any, kind: str) -> None:
    """Declares `map<string, kind>` as protoc does: a repeated nested entry message that is marked as one of a map."""
    entry = message.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    _set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), kind)
    field.label = _Field.LABEL_REPEATED
    _set_type(field, f"{message.name}.{entry.name}")


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="tfrec/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        members = {}
        for index, (oneof, names) in enumerate(_ONEOFS.get(name, {}).items()):
            message.oneof_decl.add(name=oneof)
            members.update(dict.fromkeys(names, index))
        for field_name, declaration in fields.items():
            kind, number = declaration.split(" = ")
            field = message.field.add(name=field_name, number=int(number), label=_Field.LABEL_OPTIONAL)
            if field_name in members:
                field.oneof_index = members[field_name]
            if kind.startswith("{"):
                _add_map(message, field, kind[1:-1])
                continue
            if kind.startswith("*"):
                field.label = _Field.LABEL_REPEATED
            _set_type(field, kind.lstrip("*"))
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


TensorProto = _message("TensorProto")
ModelSpec = _message("ModelSpec")
PredictRequest = _message("PredictRequest")
PredictResponse = _message("PredictResponse")
GetModelStatusRequest = _message("GetModelStatusRequest")
GetModelStatusResponse = _message("GetModelStatusResponse")
GetModelMetadataRequest = _message("GetModelMetadataRequest")
GetModelMetadataResponse = _message("GetModelMetadataResponse")
SignatureDefMap = _message("SignatureDefMap")

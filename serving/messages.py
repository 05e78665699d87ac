"""Protobuf messages declared in Python: no protoc, no generated files, and no import of TensorFlow.

A declaration is message -> field -> "type = number" in protobuf's own words; `*T` is a repeated field, `{T}` a map from
string to T. Every declared file gets a descriptor pool of its own, so that it can live beside the official classes.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

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

Declarations = Mapping[str, Mapping[str, str]]


def _set_type(field: Any, kind: str, package: str, enums: Mapping[str, Any]) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in enums else _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"


def _add_map(message: Any, field: Any, kind: str, package: str) -> None:
    """Declares `map<string, kind>` as protoc does: a repeated nested entry message that is marked as one of a map."""
    entry = message.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    _set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), kind, package, {})
    field.label = _Field.LABEL_REPEATED
    _set_type(field, f"{message.name}.{entry.name}", package, {})


def declare(
    package: str,
    messages: Declarations,
    oneofs: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
    enums: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, Any]:
    """Makes message classes.

    Args:
        package: Their protobuf package.
        messages: Message -> field -> type and number.
        oneofs: Message -> name of a oneof -> its fields.
        enums: Enum -> name -> value.

    Returns:
        Message -> class.
    """
    oneofs, enums = oneofs or {}, enums or {}
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for enum, values in enums.items():
        declared = file.enum_type.add(name=enum)
        for value, place in values.items():
            declared.value.add(name=value, number=place)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        members = {}
        for index, (oneof, names) in enumerate(oneofs.get(name, {}).items()):
            message.oneof_decl.add(name=oneof)
            members.update(dict.fromkeys(names, index))
        for field_name, declaration in fields.items():
            kind, number = declaration.split(" = ")
            field = message.field.add(name=field_name, number=int(number), label=_Field.LABEL_OPTIONAL)
            if field_name in members:
                field.oneof_index = members[field_name]
            if kind.startswith("{"):
                _add_map(message, field, kind[1:-1], package)
                continue
            if kind.startswith("*"):
                field.label = _Field.LABEL_REPEATED
            _set_type(field, kind.lstrip("*"), package, enums)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}

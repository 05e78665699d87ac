"""assets.extra/tf_serving_warmup_requests: real requests that a server runs before a version gets its first one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tfrec_zoo.export.golden_requests import Request, pad_left, to_array

FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
_WIDTHS = (8, 16, 32, 64, 128, 256)
"""Widths to which clients pad histories: powers of two."""
_USERS = 8


def _prediction_log() -> Any:
    """The message PredictionLog as far as a PredictRequest needs it.

    Declared here, since the official one belongs to a package that export does without. A TensorProto is declared as
    bytes: on the wire they are the same.
    """
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tfrec/warmup.proto", package="tfrec.warmup", syntax="proto3")

    def message(name: str, /, **fields: tuple[int, str]) -> Any:
        added = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            declared = added.field.add(name=field_name, number=number, label=field.LABEL_OPTIONAL)
            if kind in ("string", "bytes"):
                declared.type = field.TYPE_STRING if kind == "string" else field.TYPE_BYTES
            else:
                declared.type, declared.type_name = field.TYPE_MESSAGE, f".tfrec.warmup.{kind}"
        return added

    message("ModelSpec", name=(1, "string"), signature_name=(3, "string"))
    request = message("PredictRequest", model_spec=(1, "ModelSpec"), inputs=(2, "PredictRequest.InputsEntry"))
    request.field[1].label = field.LABEL_REPEATED
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    for number, (name, kind) in enumerate((("key", field.TYPE_STRING), ("value", field.TYPE_BYTES)), start=1):
        entry.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    message("PredictLog", request=(1, "PredictRequest"))
    message("PredictionLog", predict_log=(6, "PredictLog"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tfrec.warmup.PredictionLog"))


def write_warmup(directory: Path, name: str, requests: list[Request], types: dict[str, dict[str, tf.DType]]) -> int:
    """Writes the warm-up file of a version: a few users of every golden request, at every usual width.

    Args:
        directory: The version's assets.extra.
        name: The model's name; a server does not look at it.
        requests: Golden requests of every signature.
        types: Signature -> input -> dtype.

    Returns:
        The number of records.
    """
    log_class = _prediction_log()
    count = 0
    with tf.io.TFRecordWriter(str(directory / FILE)) as writer:
        for request in requests:
            for inputs in _widths(request["inputs"]):
                for rows in (slice(0, 1), slice(0, _USERS)):
                    log = log_class()
                    spec = log.predict_log.request.model_spec
                    spec.name, spec.signature_name = name, request["signature"]
                    for alias, value in inputs.items():
                        dtype = types[request["signature"]][alias]
                        proto = tf.make_tensor_proto(to_array(value[rows], dtype), dtype)
                        log.predict_log.request.inputs[alias] = proto.SerializeToString()
                    writer.write(log.SerializeToString())
                    count += 1
    if count > MAX_RECORDS:
        raise AssertionError(f"{count} warm-up records; a server takes {MAX_RECORDS}")
    return count


def _widths(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    if "history" not in inputs:
        return [inputs]
    histories = [[item for item in row if item] for row in inputs["history"]]
    return [{**inputs, "history": pad_left(histories, width)} for width in _WIDTHS]

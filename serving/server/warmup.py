"""Warm-up: the requests beside a SavedModel are run before the version gets its first real one."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.server import examples, predict
from serving.server.call import Call
from serving.server.errors import StartupError, StatusError, first_line
from serving.server.pace import pace
from serving.server.predict import Limits
from serving.server.servable import Servable

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000
_LOGS = {
    "predict_log": predict.predict,
    "classify_log": examples.classify,
    "regress_log": examples.regress,
    "multi_inference_log": examples.multi_inference,
}


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.compat.v1.io.tf_record_iterator(str(path))
    except tf.errors.OpError as error:
        raise StartupError(f"{path} is damaged: {first_line(error)}") from error


def _call(servable: Servable, record: bytes, where: str) -> Call:
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise StartupError(f"{where} is not a PredictionLog") from error
    kind = log.WhichOneof("log_type")
    if kind not in _LOGS:
        raise StartupError(f"{where} is a {kind or 'PredictionLog without a request'}, which can't be replayed")
    return _LOGS[kind](servable, getattr(log, kind).request.SerializeToString(), Limits())


def warm_up(servable: Servable, path: Path, gently: bool) -> int:
    """Runs the requests of `assets.extra/tf_serving_warmup_requests`, if there are any.

    Args:
        servable: A version that was just loaded.
        path: Its directory.
        gently: Whether to pause as long as each request took: another version is serving on the same machine.

    Returns:
        The number of requests.

    Raises:
        StartupError: The file is damaged, too long, or holds a request that fails; TensorFlow Serving would refuse the
            version too.
    """
    file = path / FILE
    if not file.is_file():
        return 0
    count = 0
    for count, record in enumerate(_records(file), start=1):
        where = f"record {count} of {file}"
        if count > MAX_RECORDS:
            raise StartupError(f"{file} has more than {MAX_RECORDS} records")
        try:
            with pace(gently):
                call = _call(servable, record, where)
                servable.run(call.signature, call.inputs, call.outputs)
        except StatusError as error:
            raise StartupError(f"{where} fails: {first_line(error)}") from error
    return count

"""The process of one loaded version: it takes requests from the front over a socket, runs them, and answers.

A version is a process of its own so that loading one never holds up another, unloading gives all memory back, and a
model that crashes takes nobody along. It lives until the front closes the socket.
"""

import base64
import contextlib
import dataclasses
import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server import examples, predict, rest_calls, servable, warmup
from serving.server.batching import Batcher, BatchingOptions, Outcome, Task, run_alone
from serving.server.call import Call
from serving.server.errors import Code, StartupError, StatusError, clipped
from serving.server.frames import LOADED, REQUEST_SIZE, Method, Request, pack_response
from serving.server.predict import Limits
from serving.server.servable import Servable

_PREPARE: dict[Method, Callable[[Servable, bytes, Limits], Call]] = {
    Method.PREDICT: predict.predict,
    Method.CLASSIFY: examples.classify,
    Method.REGRESS: examples.regress,
    Method.MULTI_INFERENCE: examples.multi_inference,
    Method.REST_PREDICT: rest_calls.predict,
    Method.REST_CLASSIFY: rest_calls.classify,
    Method.REST_REGRESS: rest_calls.regress,
}
_PATIENCE = 30.0  # seconds in which a version is to load in idle time alone


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """What a process is to serve.

    Args:
        name: The model's name.
        version: The version's number.
        path: Its directory.
        threads: Requests that are worked on at the same time.
        intra_op_threads: Threads that one op may use; 0 for all processors.
        background: Whether other versions are serving: loading is then given what they leave of the processors.
        limits: What a request may ask.
        batching: Batching parameters, or None for none.
    """

    name: str
    version: int
    path: str
    threads: int
    intra_op_threads: int = 1
    background: bool = False
    limits: Limits = dataclasses.field(default_factory=Limits)
    batching: BatchingOptions | None = None

    def to_json(self) -> str:
        """Returns the settings as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "WorkerSettings":
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        values["limits"] = Limits(**values["limits"])
        if values["batching"] is not None:
            values["batching"]["allowed_sizes"] = tuple(values["batching"]["allowed_sizes"])
            values["batching"] = BatchingOptions(**values["batching"])
        return cls(**values)


class Worker:
    """Answers the requests that come through a socket.

    Every thread takes the next frame, works on it and sends the answer: nothing is handed from one thread to another.

    Args:
        connection: The socket.
        servable: The loaded version.
        settings: Its settings.
    """

    def __init__(self, connection: socket.socket, servable: Servable, settings: WorkerSettings) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb", buffering=1 << 16)
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._outbox = threading.local()
        self._servable = servable
        self._settings = settings
        self._batcher = Batcher(servable, settings.batching, self._gathered) if settings.batching else None

    def work(self) -> NoReturn:
        """Takes requests until the front hangs up, then ends the process."""
        while True:
            with self._reading:
                head = self._stream.read(REQUEST_SIZE)
                if len(head) < REQUEST_SIZE:
                    os._exit(0)
                request = Request.unpack(head)
                payload = self._stream.read(request.size)
            self._take(request, payload)

    def _take(self, request: Request, payload: bytes) -> None:
        try:
            call = _PREPARE[request.method](self._servable, payload, self._settings.limits)
        except Exception as error:
            self._refuse(request.number, error)
            return
        task = Task(call, request.deadline, lambda outcome: self._answer(request.number, call, outcome))
        if self._batcher is None:
            run_alone(self._servable, task)
        else:
            self._batcher.submit(task)

    def _answer(self, number: int, call: Call, outcome: Outcome) -> None:
        try:
            if isinstance(outcome.outputs, StatusError):
                raise outcome.outputs
            answer = call.answer(outcome.outputs)
        except Exception as error:
            self._refuse(number, error, outcome)
            return
        self.send(pack_response(number, Code.OK, len(answer), outcome.runtime, outcome.queued), answer)

    def _refuse(self, number: int, error: Exception, outcome: Outcome | None = None) -> None:
        if isinstance(error, StatusError):
            code, message = error.code, error.message
        elif isinstance(error, MemoryError):
            code, message = Code.RESOURCE_EXHAUSTED, "the request needs more memory than there is"
        else:
            code, message = Code.INTERNAL, f"{type(error).__name__}: {error}"
        data = clipped(message).encode(errors="replace")
        times = (outcome.runtime, outcome.queued) if outcome else ()
        self.send(pack_response(number, code, len(data), *times), data)

    def send(self, head: bytes, payload: bytes) -> None:
        """Sends a frame; ends the process when nobody listens any more."""
        gathered = getattr(self._outbox, "frames", None)
        if gathered is not None:
            gathered += (head, payload)
            return
        try:
            with self._writing:
                self._connection.sendall(head + payload)
        except OSError:
            os._exit(0)

    @contextlib.contextmanager
    def _gathered(self) -> Iterator[None]:
        """Sends the frames of the block, which answer one batch, at once: the front wakes up once for all of them."""
        frames: list[bytes] = []
        self._outbox.frames = frames
        try:
            yield
        finally:
            self._outbox.frames = None
            self.send(b"", b"".join(frames))


def _description(loaded: Servable) -> bytes:
    """The version's metadata: for gRPC a serialized SignatureDefMap, for REST the JSON of the whole answer."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in loaded.signature_defs.items():
        signatures.signature_def[name].CopyFrom(definition)
    document = {
        "model_spec": {"name": loaded.name, "signature_name": "", "version": str(loaded.version)},
        "metadata": {
            "signature_def": json_format.MessageToDict(
                signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        },
    }
    described = {
        "metadata": base64.b64encode(signatures.SerializeToString()).decode(),
        "json": json.dumps(document, indent=1),
    }
    return json.dumps(described).encode()


def _load(settings: WorkerSettings) -> Servable:
    """Loads and warms up the version; beside others that serve, in what they leave of the processors."""
    # TensorFlow's pools are made by the first session and inherit the priority of its thread: the ordinary one. The
    # process's first product sets up oneDNN, which takes 25 ms that no request should wait for.
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=settings.intra_op_threads)
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        matrix = tf.compat.v1.placeholder_with_default(tf.zeros((2, 2)), (None, None))
        session.run(tf.matmul(matrix, matrix))
    results: queue.SimpleQueue[Servable | BaseException] = queue.SimpleQueue()

    def load(give_way: Callable[[], None]) -> None:
        try:
            give_way()
            path = Path(settings.path)
            loaded = servable.load(settings.name, settings.version, path, gently=settings.background)
            warmup.warm_up(loaded, path, gently=settings.background)
            results.put(loaded)
        except BaseException as error:
            results.put(error)

    def start(give_way: Callable[[], None]) -> None:
        threading.Thread(target=load, args=(give_way,), name="load", daemon=True).start()

    if settings.background:
        start(_run_when_idle)
        try:
            result = results.get(timeout=_PATIENCE)
        except queue.Empty:
            # A machine that is full would never let it finish, and a thread may not raise its own priority.
            start(_run_slowly)
            result = results.get()
    else:
        start(lambda: None)
        result = results.get()
    if isinstance(result, BaseException):
        raise result
    return result


def _run_when_idle() -> None:
    """Gives the thread the time that nobody else wants: one that serves never waits for it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # a sandbox may forbid it
        _run_slowly()


def _run_slowly() -> None:
    """Gives the thread a third of the share of one that serves."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


def main(connection: socket.socket, settings: WorkerSettings) -> NoReturn:
    """Loads the version, says so, and serves it until the front hangs up; never returns.

    Args:
        connection: The socket to the front.
        settings: What to serve.
    """
    # A signal to the whole group, such as Ctrl-C, is the front's to answer: it drains, then hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        loaded = _load(settings)
        worker = Worker(connection, loaded, settings)
        description = _description(loaded)
    except BaseException as error:
        if not isinstance(error, StartupError):
            error = StartupError(f"model {settings.name} version {settings.version}: {type(error).__name__}: {error}")
        data = str(error).encode(errors="replace")
        connection.sendall(pack_response(LOADED, Code.UNKNOWN, len(data)) + data)
        os._exit(1)
    worker.send(pack_response(LOADED, Code.OK, len(description)), description)
    for number in range(1, settings.threads):
        threading.Thread(target=worker.work, name=f"work-{number}", daemon=True).start()
    worker.work()

"""One loaded version of a model: a Session, its signatures, and the callables that run them."""

import collections
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.server.errors import StartupError, first_line, from_number
from serving.server.pace import pace

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
METHOD_NAMES = (PREDICT, CLASSIFY, REGRESS)
# Ops run in the thread that calls: waking TensorFlow's pool for a model of a millisecond costs half of it again, and
# requests that come together have threads of their own. Large ops still use the pool within themselves.
_CALLER = -1
_MAX_FILTERED_CALLABLES = 64  # a callable holds an executor, and a client chooses the filter


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Args:
        alias: Its name in requests.
        tensor: Its name in the graph.
        dtype: Number in `tensorflow.DataType`.
        shape: Sizes with None where any is allowed, or None for any rank.
    """

    alias: str
    tensor: str
    dtype: int
    shape: tuple[int | None, ...] | None

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Tells whether an array of this shape may be fed."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            known is None or known == size for known, size in zip(self.shape, shape, strict=True)
        )


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel.

    Args:
        name: Its key.
        method_name: What it is for: predict, classify or regress.
        inputs: Alias -> input, in the order in which the graph numbers its arguments.
        outputs: Alias -> output, in alphabetical order.
        defaults: Alias -> TensorProto of the inputs that a request may leave out.
    """

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, Any]


def _tensor_spec(alias: str, info: Any) -> TensorSpec:
    known = not info.tensor_shape.unknown_rank
    shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim) if known else None
    return TensorSpec(alias, info.name, info.dtype, shape)


def _signature(name: str, definition: Any) -> Signature:
    inputs = [_tensor_spec(alias, info) for alias, info in definition.inputs.items()]
    outputs = [_tensor_spec(alias, info) for alias, info in definition.outputs.items()]
    return Signature(
        name=name,
        method_name=definition.method_name,
        # TensorFlow sorts what is fed by tensor name; `Expects arg[0]` counts in that order.
        inputs={spec.alias: spec for spec in sorted(inputs, key=lambda spec: spec.tensor)},
        outputs={spec.alias: spec for spec in sorted(outputs, key=lambda spec: spec.alias)},
        defaults=dict(definition.defaults),
    )


class Servable:
    """A loaded version; make one with `load`. All methods may be called from any thread.

    Args:
        name: The model's name.
        version: The version's number.
        session: A session that holds the restored graph.
        meta_graph: The graph's MetaGraphDef.
        gently: Whether to pause for as long as each callable took to make.
    """

    def __init__(self, name: str, version: int, session: Any, meta_graph: Any, gently: bool = False) -> None:
        self.name = name
        self.version = version
        self.signature_defs = meta_graph.signature_def
        self.signatures = {key: _signature(key, definition) for key, definition in self.signature_defs.items()}
        self._session = session
        self._lock = threading.Lock()
        self._filtered: collections.OrderedDict[tuple[str, tuple[str, ...]], Callable[..., list[Any]]] = (
            collections.OrderedDict()
        )
        self._whole = {}
        for key, signature in self.signatures.items():
            if signature.method_name in METHOD_NAMES and all(spec.tensor for spec in signature.inputs.values()):
                with pace(gently):
                    self._whole[key] = self._make_callable(signature, tuple(signature.outputs))

    def _make_callable(self, signature: Signature, outputs: Sequence[str]) -> Callable[..., list[Any]]:
        # Session.make_callable goes through Session.run as soon as something is fed. The C callable below it doesn't:
        # 18 us instead of 134 us for a tiny model. It is TensorFlow's own, though private; a test runs it.
        return self._session._make_callable_from_options(
            config_pb2.CallableOptions(
                feed=[spec.tensor for spec in signature.inputs.values()],
                fetch=[signature.outputs[alias].tensor for alias in outputs],
                run_options=config_pb2.RunOptions(inter_op_thread_pool=_CALLER),
            )
        )

    def _callable(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., list[Any]]:
        if len(outputs) == len(signature.outputs) and signature.name in self._whole:
            return self._whole[signature.name]
        key = (signature.name, outputs)
        with self._lock:
            if key in self._filtered:
                self._filtered.move_to_end(key)
            else:
                self._filtered[key] = self._make_callable(signature, outputs)
                if len(self._filtered) > _MAX_FILTERED_CALLABLES:
                    self._filtered.popitem(last=False)  # released once the requests that run it are done
            return self._filtered[key]

    def run(self, signature: Signature, inputs: Sequence[np.ndarray], outputs: Sequence[str]) -> dict[str, Any]:
        """Runs a signature; once begun it can't be interrupted.

        Args:
            signature: One of `signatures`.
            inputs: One array for each of `signature.inputs`, in that order; strings are object arrays of bytes.
            outputs: Aliases to compute.

        Returns:
            Alias -> array; a scalar may be a numpy scalar or bytes.

        Raises:
            StatusError: The graph refused the inputs or failed.
        """
        wanted = tuple(sorted(outputs))
        try:
            return dict(zip(wanted, self._callable(signature, wanted)(*inputs), strict=True))
        except tf.errors.OpError as error:
            raise from_number(error.error_code, error.message) from error


def load(name: str, version: int, path: Path, gently: bool = False) -> Servable:
    """Loads a version directory.

    Args:
        name: The model's name.
        version: The version's number.
        path: A SavedModel directory with a graph for the tag `serve`.
        gently: Whether to pause for as long as each step took: another version is serving on the same machine.

    Returns:
        The servable, with its variables and tables initialised and one callable for each signature.

    Raises:
        StartupError: The directory is incomplete or corrupt, or a signature names a tensor that isn't there.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default(), pace(gently):
            meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(path))
        graph.finalize()
        return Servable(name, version, session, meta_graph, gently)
    except Exception as error:  # whatever broken bytes make TensorFlow and protobuf raise
        session.close()
        raise StartupError(f"model {name} version {version} at {path} can't be loaded: {first_line(error)}") from error

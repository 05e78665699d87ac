"""What a signature is: named inputs, and the function that answers them."""

from __future__ import annotations

import dataclasses
import functools
import keyword
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

Tensors = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature of a version.

    Attributes:
        inputs: Alias -> shape and dtype; all required, the batch first.
        answer: Inputs by alias -> outputs by alias.
        method: What TensorFlow Serving lets it be asked by.
    """

    inputs: Mapping[str, tf.TensorSpec]
    answer: Callable[[Tensors], dict[str, tf.Tensor]]
    method: str = PREDICT

    @property
    def names(self) -> dict[str, str]:
        """Name of the argument of `function` -> alias: the alias itself, if Python allows it as a name."""
        names: dict[str, str] = {}
        for alias in self.inputs:
            name = alias
            if keyword.iskeyword(name) or not name.isidentifier():
                name = f"input_{len(names)}"
                while name in names or name in self.inputs:
                    name += "_"
            names[name] = alias
        return names

    @functools.cached_property
    def function(self) -> Any:
        """The signature as a tf.function of one dict, argument name -> tensor."""
        names = self.names

        @tf.function(input_signature=[{name: _named(self.inputs[alias], name) for name, alias in names.items()}])
        def signature(given: Tensors) -> dict[str, tf.Tensor]:
            return self.answer({alias: given[name] for name, alias in names.items()})

        return signature


def texts(rank: int = 2) -> tf.TensorSpec:
    """Strings of any size; the batch first."""
    return tf.TensorSpec((None,) * rank, tf.string)


def finish_saved_model(directory: Path, signatures: Mapping[str, Signature]) -> None:
    """Puts into saved_model.pb what TensorFlow 2 does not save: methods, and aliases that are no names in Python.

    TensorFlow 2 saves every signature for Predict, and calls inputs as the function calls its arguments, so that a
    feature "class" could not be one.
    """
    path = directory / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        for name, signature in signatures.items():
            definition = graph.signature_def[name]
            for argument, alias in signature.names.items():
                if argument != alias:
                    definition.inputs[alias].CopyFrom(definition.inputs.pop(argument))
    path.write_bytes(saved.SerializeToString())
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(directory))
    for name, signature in signatures.items():
        updater.replace_method_name(name, signature.method)
    updater.save()


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name)

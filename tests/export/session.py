"""A TF1 Session on a SavedModel, for tests of what its signatures answer."""

from pathlib import Path

import numpy as np
import tensorflow as tf

LOWEST = float(np.finfo(np.float32).min)


class Session:
    """A TF1 Session on a SavedModel: the way of a server without its process."""

    def __init__(self, saved: Path):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(saved))
        self._signatures = loaded.signature_def

    def __call__(self, signature: str, **request: object) -> dict:
        info = self._signatures[signature]
        feed = {
            each.name: np.array(request[alias], tf.as_dtype(each.dtype).as_numpy_dtype)
            for alias, each in info.inputs.items()
        }
        fetches = {alias: each.name for alias, each in info.outputs.items()}
        outputs = self._session.run(fetches, feed)
        return {alias: text_lists(value) for alias, value in outputs.items()}


def text_lists(value: np.ndarray) -> list:
    return np.vectorize(bytes.decode, otypes=[object])(value).tolist() if value.dtype == object else value.tolist()

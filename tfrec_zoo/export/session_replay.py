"""Runs every signature of a SavedModel as TensorFlow Serving does: in a TF1 Session, without Keras or this project.

A script of its own, started by the gate in a fresh process:

    python session_replay.py SAVED_MODEL REQUESTS.json ANSWERS.json

REQUESTS: [{"signature": name, "inputs": {alias: nested list}}, ...], bytes as {"b64": text}; ANSWERS: the outputs of
each, in the same form.
Exit status 1 with one line when the model does not load, a signature has no request, or a request fails.
"""

import base64
import json
import sys
from typing import Any

# A SavedModel that needs Keras to run would not run in TensorFlow Serving: make its import impossible here.
sys.modules["keras"] = sys.modules["tf_keras"] = sys.modules["tfrec_zoo"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402


def replay(saved_model: str, requests: list) -> list:
    """Answers of the requests, each a dict of output alias -> nested list."""
    with tf.Session(graph=tf.Graph()) as session:
        meta_graph = tf.saved_model.loader.load(session, ["serve"], saved_model)
        signatures = {name: sig for name, sig in meta_graph.signature_def.items() if not name.startswith("__")}
        missing = set(signatures) - {request["signature"] for request in requests}
        if missing:
            raise ValueError(f"no request for signature {', '.join(sorted(missing))}")
        return [_run(session, signatures[request["signature"]], request["inputs"]) for request in requests]


def _run(session: tf.Session, signature: Any, inputs: dict) -> dict:
    feed = {}
    for alias, info in signature.inputs.items():
        dtype = tf.as_dtype(info.dtype).as_numpy_dtype
        feed[info.name] = np.array(_decoded(inputs[alias]), dtype=dtype)
    fetched = session.run({alias: info.name for alias, info in signature.outputs.items()}, feed)
    return {alias: _to_lists(value) for alias, value in fetched.items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _to_lists(value: np.ndarray) -> list:
    if value.dtype == object:
        return np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(value).tolist()
    return value.tolist()


def main(saved_model: str, requests_path: str, answers_path: str) -> int:
    """Replays a file of requests; returns the exit status."""
    with open(requests_path, encoding="utf-8") as file:
        requests = json.load(file)
    try:
        answers = replay(saved_model, requests)
    except Exception as error:  # whatever TensorFlow raises, the gate wants it as one line
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
        return 1
    with open(answers_path, "w", encoding="utf-8") as file:
        json.dump(answers, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The export gate: a version is published only if it is the live model, weight by weight and answer by answer.

Golden requests are replayed against the new version in processes without Keras and without this project: in a TF1
Session, as TensorFlow Serving runs it, and over gRPC through a server. A version that answers otherwise than the live
model, that lacks a file, or whose weights or vocabulary are not the live ones is refused and never published.
"""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.golden_requests import Request, to_array
from tfrec_zoo.export.servable import Servable

TOLERANCE = 1e-4
"""Largest accepted difference of a score; items whose scores are closer may change places."""

Answers = list[dict[str, Any]]

# By its path, never imported: it makes the import of this project impossible.
_REPLAY = Path(__file__).with_name("session_replay.py")


def live_answers(servable: Servable, requests: Sequence[Request]) -> Answers:
    """Answers of the live model, computed in this process by the signatures' own Python code, one op at a time."""
    answers = []
    for request in requests:
        signature = servable.signatures[request["signature"]]
        inputs = {
            alias: tf.constant(to_array(value, signature.inputs[alias].dtype))
            for alias, value in request["inputs"].items()
        }
        answers.append({alias: _to_lists(value.numpy()) for alias, value in signature.answer(inputs).items()})
    return answers


def replay_in_session(saved_model: Path, requests: Sequence[Request]) -> Answers:
    """Answers of a SavedModel in a TF1 Session of a fresh process without Keras and without this project.

    Raises:
        ExportError: It does not load, or a signature fails.
    """
    # -I: neither the working directory nor PYTHONPATH can bring the project in.
    command = [sys.executable, "-I", str(_REPLAY), str(saved_model)]
    return _replay(command, requests, "in a TF1 Session, so TensorFlow Serving could not run it")


def replay_over_grpc(base_path: Path, requests: Sequence[Request]) -> Answers:
    """Answers of the one version under a base path, through a server and its gRPC API.

    Raises:
        ExportError: The server refuses the version or a request.
    """
    command = [sys.executable, "-m", "serving.replay", str(base_path)]
    return _replay(command, requests, "behind the model server")


def can_serve() -> bool:
    """Whether the extra [serving] is installed, so that the gate can ask over gRPC."""
    return all(importlib.util.find_spec(name) for name in ("serving", "grpc", "h11", "tensorflow_serving"))


def _replay(command: list[str], requests: Sequence[Request], where: str) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "requests.json", Path(folder) / "answers.json"
        asked.write_text(json.dumps(list(requests)), encoding="utf-8")
        done = subprocess.run([*command, str(asked), str(answered)], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(f"the SavedModel does not run {where}: {reason}")
        return json.loads(answered.read_text(encoding="utf-8"))


def check_parts(saved_model: Path, servable: Servable) -> None:
    """Refuses a SavedModel whose weights or vocabularies are not, to the last bit, the live ones.

    Raises:
        ExportError: Says what is missing or differs.
    """
    try:
        reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
        stored = collections.Counter(
            _digest(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map() if name.endswith("_VALUE")
        )
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ExportError(f"{saved_model} is incomplete: its weights cannot be read: {said}") from error
    missing = collections.Counter(_digest(variable.numpy()) for variable in servable.variables) - stored
    if missing:
        raise ExportError(f"{saved_model}: {missing.total()} of the weights are not the live model's.")
    for vocabulary in servable.vocabularies:
        asset = saved_model / "assets" / vocabulary.name
        if not asset.is_file():
            raise ExportError(f"{saved_model} is incomplete: it has no assets/{asset.name}.")
        # TensorFlow appends a number to the name where two files have the same.
        same_name = asset.parent.glob(f"{asset.name}*")
        if vocabulary.read_bytes() not in (each.read_bytes() for each in same_name):
            raise ExportError(f"{asset} is not the vocabulary that the model was trained with.")


def _digest(value: np.ndarray) -> str:
    value = np.ascontiguousarray(value)
    return hashlib.sha256(f"{value.dtype} {value.shape} ".encode() + value.tobytes()).hexdigest()


def compare(requests: Sequence[Request], expected: Sequence[dict], seen: Sequence[dict]) -> None:
    """Refuses answers that differ from the expected ones.

    Floats may differ by `TOLERANCE` relative to their size; ranked items may change places only where their scores
    are that close; everything else must be equal.

    Raises:
        ExportError: Says which signature, row and output differ.
    """
    for request, want, have in zip(requests, expected, seen, strict=True):
        name = request["signature"]
        if set(want) != set(have):
            raise ExportError(
                f"signature {name!r} has the outputs {sorted(have)}, the live model gives {sorted(want)}."
            )
        for alias in sorted(want, reverse=True):  # scores before the item_ids that they rank
            first, second = np.asarray(want[alias]), np.asarray(have[alias])
            if first.shape != second.shape:
                raise ExportError(f"signature {name!r}: {alias} has shape {second.shape}, not {first.shape}.")
            if first.dtype.kind == "f":
                differs = ~np.isclose(second, first, rtol=TOLERANCE, atol=TOLERANCE)
            else:
                differs = first != second
            if alias == "item_ids":
                differs &= ~_has_close_neighbour(np.asarray(want["scores"]))
            if differs.any():
                place = tuple(map(int, np.argwhere(differs)[0]))
                by = f" by more than {TOLERANCE}" if first.dtype.kind == "f" else ""
                raise ExportError(
                    f"signature {name!r}, row {place[0]}: the {alias} differ from the live model's{by} "
                    f"({second[place]} instead of {first[place]})."
                )


def _has_close_neighbour(scores: np.ndarray) -> np.ndarray:
    """Where a ranked score is within the tolerance of the one before or after it; bool like `scores`."""
    close = np.isclose(scores[:, 1:], scores[:, :-1], rtol=TOLERANCE, atol=TOLERANCE)
    edge = np.zeros((len(scores), 1), bool)
    # The last item may have a close neighbour that did not make it into the answer.
    return np.concatenate([edge, close], axis=1) | np.concatenate([close, ~edge], axis=1)


def _to_lists(value: np.ndarray) -> list:
    if value.dtype == object:
        value = np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(value)
    return value.tolist()

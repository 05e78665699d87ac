"""The export gate: golden requests, their answers from the live model, and their replay against the SavedModel.

A version that answers otherwise than the live model is refused and never published.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data.sequences import evaluation_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.servable import DEFAULT_SIGNATURE, Servable

TOLERANCE = 1e-4
"""Largest accepted difference of a score; items whose scores are closer may change places."""

Request = dict[str, Any]

# By its path, never imported: it makes the import of this project impossible.
_REPLAY = Path(__file__).with_name("session_replay.py")


def golden_requests(spec: DatasetSpec, users: int = 32) -> list[Request]:
    """Requests for every signature: real histories of the test part, an unknown item, an unknown user.

    Args:
        spec: The dataset.
        users: How many real histories.

    Returns:
        Dicts with "signature" and "inputs", JSON-ready.
    """
    items = spec.vocabulary("item")
    histories: list[list[str]] = []
    if spec.records("sequences", "test"):
        batch = next(iter(evaluation_batches(spec, "test", users)))
        histories = [[items[i - FIRST_ITEM_ID] for i in row if i >= FIRST_ITEM_ID] for row in batch["history"].numpy()]
    unknown = "never seen\u2063"  # an invisible separator: no catalogue has this id
    histories += [[unknown], [unknown, items[0], unknown], [items[-1]], list(reversed(items[:5])), []]
    width = max(len(row) for row in histories)
    padded = [[""] * (width - len(row)) + row for row in histories]
    candidates = [[*items[:20], unknown, ""] for _ in padded]
    return [
        {"signature": DEFAULT_SIGNATURE, "inputs": {"history": padded}},
        {"signature": "recommend", "inputs": {"history": padded[:1]}},
        {"signature": "score", "inputs": {"history": padded, "candidates": candidates}},
    ]


def live_answers(servable: Servable, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """Answers of the live model, computed in this process by the signatures' own Python code, one op at a time."""
    answers = []
    for request in requests:
        inputs = {alias: tf.constant(value, tf.string) for alias, value in request["inputs"].items()}
        outputs = servable.functions[request["signature"]].python_function(**inputs)
        answers.append({alias: _to_lists(value.numpy()) for alias, value in outputs.items()})
    return answers


def replay_in_session(saved_model: Path, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """Answers of a SavedModel in a TF1 Session of a fresh process without Keras and without this project.

    Raises:
        ExportError: It does not load, or a signature fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "requests.json", Path(folder) / "answers.json"
        asked.write_text(json.dumps(list(requests)), encoding="utf-8")
        # -I: neither the working directory nor PYTHONPATH can bring the project in.
        command = [sys.executable, "-I", str(_REPLAY), str(saved_model), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(
                f"the SavedModel does not run in a TF1 Session, so TensorFlow Serving could not run it: {reason}"
            )
        return json.loads(answered.read_text(encoding="utf-8"))


def compare(requests: Sequence[Request], expected: Sequence[dict], seen: Sequence[dict]) -> None:
    """Refuses answers that differ from the expected ones.

    Scores may differ by `TOLERANCE` relative to their size; ranked items may change places only where their scores
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
        scores = np.asarray(want["scores"], np.float64)
        close = np.isclose(np.asarray(have["scores"], np.float64), scores, rtol=TOLERANCE, atol=TOLERANCE)
        if not close.all():
            row = int(np.argwhere(~close)[0][0])
            raise ExportError(
                f"signature {name!r}, row {row}: the scores differ from the live model's by more than {TOLERANCE}."
            )
        for alias in set(want) - {"scores"}:
            differs = np.asarray(want[alias]) != np.asarray(have[alias])
            if alias == "item_ids":
                differs &= ~_has_close_neighbour(scores)
            if differs.any():
                row = int(np.argwhere(differs)[0][0])
                raise ExportError(f"signature {name!r}, row {row}: {alias} differ from the live model's.")


def _has_close_neighbour(scores: np.ndarray) -> np.ndarray:
    """Where a ranked score is within the tolerance of the one before or after it; bool like `scores`."""
    close = np.isclose(scores[:, 1:], scores[:, :-1], rtol=TOLERANCE, atol=TOLERANCE)
    edge = np.zeros((len(scores), 1), bool)
    # The last item may have a close neighbour that did not make it into the answer.
    return np.concatenate([edge, close], axis=1) | np.concatenate([close, ~edge], axis=1)


def _to_lists(value: np.ndarray) -> list:
    if value.dtype == object:
        return [[text.decode("utf-8") for text in row] for row in value]
    return value.tolist()

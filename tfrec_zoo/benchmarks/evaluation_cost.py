"""`tfrec bench evaluate`: seconds and peak memory of counting ranks beside sorting the catalogue for every user.

Every way is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data.sequences import evaluation_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import EvaluationError
from tfrec_zoo.evaluation.evaluator import Evaluator, leave_out_seen, users_at_once
from tfrec_zoo.evaluation.figures import LIST_LENGTH

WAYS = {
    "score": "scores alone, nothing ranked",
    "count": "ranks counted (tfrec evaluate during training)",
    "count+lists": f"ranks counted, {LIST_LENGTH} best items kept (tfrec evaluate)",
    "sort": "every row sorted, the same batches",
    "keep": "scores of all users kept at once, not yet sorted",
}
_DIM = 32


class FactorScores:
    """A cheap model with the shape of a real one: the mean vector of the last items times every item's vector."""

    def __init__(self, catalog_size: int) -> None:
        table = np.random.default_rng(0).normal(size=(catalog_size + FIRST_ITEM_ID, _DIM))
        self._table = tf.constant(table, tf.float32)

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n) as float32 (batch, catalog_size)."""
        user = tf.reduce_mean(tf.gather(self._table, history[:, -10:]), axis=1)
        return tf.matmul(user, self._table[FIRST_ITEM_ID:], transpose_b=True)


def run(
    data: str | os.PathLike[str] | None = None, users: int = 10_000, items: int = 100_000, events: int = 30
) -> list[dict[str, Any]]:
    """Measures every way of ranking on one dataset.

    Args:
        data: A dataset directory; default: a synthetic one.
        users: Users of the synthetic log.
        items: Its items; all of them occur.
        events: Interactions of every user.

    Returns:
        One row a way: seconds of the pass, peak memory of the process, and what of it the pass added.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(data) if data is not None else _synthetic(Path(folder), users, items, events)
        return [_in_a_process(way, directory) for way in WAYS]


def measure(way: str, data: str | os.PathLike[str]) -> dict[str, Any]:
    """Measures one way in this process."""
    spec = DatasetSpec.read(data)
    scorer = FactorScores(spec.catalog_size)
    before = _peak_mib()
    start = time.perf_counter()
    if way.startswith("count"):
        Evaluator(scorer, spec, filter_seen=True, list_length=LIST_LENGTH if way == "count+lists" else 0)()
    elif way == "keep":
        _keep_all(scorer, spec)
    else:
        _score_all(scorer, spec, sort=way == "sort")
    seconds, peak = time.perf_counter() - start, _peak_mib()
    return {
        "way": WAYS[way],
        "users": spec.records("sequences", "test"),
        "items": spec.catalog_size,
        "seconds": round(seconds, 2),
        "peak_rss_mib": round(peak),
        "added_mib": round(peak - before),
    }


def _score_all(scorer: FactorScores, spec: DatasetSpec, sort: bool) -> None:
    batches = evaluation_batches(spec, "test", users_at_once(spec.catalog_size))

    def rank(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        scores = leave_out_seen(scorer.score(batch["history"]), batch["target"], batch["seen"])
        if not sort:
            return tf.reduce_max(scores, axis=1)
        order = tf.argsort(scores, axis=1, direction="DESCENDING")
        return tf.argmax(order == (batch["target"] - FIRST_ITEM_ID)[:, None], axis=1) + 1

    step = tf.function(rank, input_signature=[batches.element_spec])
    for batch in batches:
        step(batch)


def _keep_all(scorer: FactorScores, spec: DatasetSpec) -> None:
    kept = np.empty((spec.records("sequences", "test"), spec.catalog_size), np.float32)
    done = 0
    for batch in evaluation_batches(spec, "test", users_at_once(spec.catalog_size)):
        scores = scorer.score(batch["history"]).numpy()
        kept[done : done + len(scores)] = scores
        done += len(scores)


def _in_a_process(way: str, data: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tfrec_zoo.benchmarks.evaluation_cost", way, str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EvaluationError(f"measuring {way!r} failed: {' '.join(done.stderr.split())[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _peak_mib() -> float:
    """Peak resident memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of a spawned process starts at its parent's
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 2**10  # type: ignore[index]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _synthetic(folder: Path, users: int, items: int, events: int) -> Path:
    """Users draw from shuffled decks of the whole catalogue, so that (nearly) every item has train rows."""
    import beam_jobs

    rng = np.random.default_rng(0)
    decks = -(-users * events // items)
    drawn = np.concatenate([rng.permutation(items) for _ in range(decks)])[: users * events].reshape(users, events)
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        writer.writerows((f"u{user}", f"i{drawn[user, at]}", at) for user in range(users) for at in range(events))
    output = folder / "DATA"
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(folder / "log.csv"),), output=str(output), quiet=True))
    return output


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))

"""`tfrec bench index`: the 100 best of a million items for a user vector: milliseconds, memory, and a refresh.

Exact search, as one matrix product with top-k and as TensorFlow Recommenders' BruteForce. Every way is measured in a
process of its own, so that its memory is its own.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.benchmarks.measured_process import measured
from tfrec_zoo.benchmarks.pre_ranking_cost import percentiles
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.losses.tfrs import tensorflow_recommenders

ITEMS, DIM, K = 1_000_000, 64, 100
NEW_SHARE = 0.01
BATCHES = (1, 32)


def run(
    data: str | os.PathLike[str] | None = None, *, items: int = ITEMS, dim: int = DIM, requests: int = 100
) -> list[dict[str, Any]]:
    """Searches vectors drawn from a normal distribution.

    Args:
        data: Must be None: the index is of a given size.
        items: Vectors of the index.
        dim: Their width.
        requests: Requests that are timed.

    Returns:
        One row a way and batch of users: milliseconds a request, peak memory of the process and that of the vectors in
        MiB, and seconds until the index answers with 1% of its vectors replaced.

    Raises:
        ConfigError: A dataset was given.
    """
    if data is not None:
        raise ConfigError("the benchmark 'index' makes up its own vectors; leave --data out.")
    rows = []
    for way in WAYS:
        arguments = {"way": way, "items": items, "dim": dim, "requests": requests}
        cost = measured([sys.executable, "-m", "tfrec_zoo.benchmarks.index_cost", json.dumps(arguments)])
        for batch, (median, p99) in zip(BATCHES, cost["said"]["milliseconds"], strict=True):
            rows.append(
                {
                    "way": way,
                    "items": items,
                    "dim": dim,
                    "batch": batch,
                    "median_ms": round(median, 2),
                    "p99_ms": round(p99, 2),
                    "peak_rss_mib": cost["peak_rss_mib"],
                    "vectors_mib": round(items * dim * 4 / 2**20),
                    "refresh_s": round(cost["said"]["refresh_s"], 3),
                }
            )
    return rows


class MatrixProduct:
    """Products with all vectors, and the best of them."""

    def __init__(self, vectors: tf.Tensor) -> None:
        self._vectors = tf.Variable(vectors, trainable=False)

    @tf.function(reduce_retracing=True)
    def __call__(self, queries: tf.Tensor) -> tf.Tensor:
        """Rows of the best vectors: float (batch, dim) -> int32 (batch, K)."""
        return tf.math.top_k(tf.matmul(queries, self._vectors, transpose_b=True), K).indices

    def replace(self, rows: tf.Tensor, vectors: tf.Tensor) -> None:
        """Puts new vectors into rows."""
        self._vectors.scatter_update(tf.IndexedSlices(vectors, rows))


class TFRSBruteForce:
    """The layer of TensorFlow Recommenders, which is filled as a whole."""

    def __init__(self, vectors: tf.Tensor) -> None:
        self._vectors = vectors.numpy()
        self._fill()

    def _fill(self) -> None:
        layer = tensorflow_recommenders().layers.factorized_top_k.BruteForce(k=K)
        layer.index(tf.constant(self._vectors))
        # Filling makes new variables: a function that was traced before would go on with the old ones.
        self._search = tf.function(layer, reduce_retracing=True)

    def __call__(self, queries: tf.Tensor) -> tf.Tensor:
        """Rows of the best vectors: float (batch, dim) -> int32 (batch, K)."""
        return self._search(queries)[1]

    def replace(self, rows: tf.Tensor, vectors: tf.Tensor) -> None:
        """Puts new vectors into rows."""
        self._vectors[rows.numpy()] = vectors.numpy()
        self._fill()


WAYS: dict[str, Callable[[tf.Tensor], Any]] = {
    "matmul + top_k": MatrixProduct,
    "TFRS BruteForce": TFRSBruteForce,
}


def measure(way: str, items: int, dim: int, requests: int) -> dict[str, Any]:
    """Measures one way in this process."""
    generator = tf.random.Generator.from_seed(0)
    index = WAYS[way](generator.normal([items, dim]))
    milliseconds = []
    for batch in BATCHES:
        queries = generator.normal([batch, dim])
        milliseconds.append(percentiles(functools.partial(index, queries), requests))
    new = tf.constant(np.random.default_rng(0).choice(items, max(1, int(NEW_SHARE * items)), replace=False), tf.int32)
    vectors = generator.normal([len(new), dim])
    start = time.perf_counter()
    index.replace(new, vectors)
    index(queries).numpy()
    return {"milliseconds": milliseconds, "refresh_s": time.perf_counter() - start}


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))

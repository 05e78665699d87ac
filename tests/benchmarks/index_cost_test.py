import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.benchmarks.index_cost import BATCHES, WAYS, K, run
from tfrec_zoo.errors import ConfigError


@pytest.mark.parametrize("way", WAYS)
def test_the_best_are_found_before_and_after_a_refresh(way: str) -> None:
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(500, 8)), rng.normal(size=(3, 8))
    index = WAYS[way](tf.constant(vectors, tf.float32))
    new, rows = 5 * rng.normal(size=(20, 8)), rng.choice(500, 20, replace=False)
    for _ in range(2):
        best = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
        np.testing.assert_array_equal(index(tf.constant(queries, tf.float32)), best)
        vectors[rows] = new
        index.replace(tf.constant(rows), tf.constant(new, tf.float32))


def test_a_row_for_every_way_and_batch() -> None:
    rows = run(items=2_000, dim=8, requests=2)
    assert [(row["way"], row["batch"]) for row in rows] == [(way, batch) for way in WAYS for batch in BATCHES]
    for row in rows:
        assert 0 < row["median_ms"] <= row["p99_ms"]
        assert row["refresh_s"] > 0


def test_a_dataset_is_refused() -> None:
    with pytest.raises(ConfigError, match="'index' makes up its own vectors"):
        run("DATA")

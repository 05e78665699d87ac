import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.data.sequences import evaluation_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, EvaluationError
from tfrec_zoo.evaluation.evaluator import Evaluator, leave_out_seen, target_ranks, users_at_once


class FixedScores:
    """Scores that depend on the history only through its last item, with many ties."""

    def __init__(self, catalog_size: int, levels: int = 7) -> None:
        self.table = np.random.default_rng(0).integers(0, levels, (catalog_size + FIRST_ITEM_ID, catalog_size))

    def score(self, history: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self.table, history[:, -1]), tf.float32)


def naive_rank(scores: np.ndarray, target: int, left_out: set[int]) -> float:
    """By the definition, an item at a time."""
    if target < FIRST_ITEM_ID:
        return np.inf
    own, rank = scores[target - FIRST_ITEM_ID], 1.0
    for column, score in enumerate(scores):
        item = column + FIRST_ITEM_ID
        if item != target and item not in left_out:
            rank += 1.0 if score > own else 0.5 if score == own else 0.0
    return rank


@pytest.mark.parametrize("filter_seen", [False, True])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_ranks_agree_with_a_naive_loop(spec: DatasetSpec, split: str, filter_seen: bool) -> None:
    scorer = FixedScores(spec.catalog_size)
    evaluation = Evaluator(scorer, spec, split=split, filter_seen=filter_seen, ks=(10,), batch_size=16)()
    expected = []
    for batch in evaluation_batches(spec, split, 7):
        scores = scorer.score(batch["history"]).numpy()
        for row, target, seen in zip(scores, batch["target"].numpy(), batch["seen"].to_list(), strict=True):
            expected.append(naive_rank(row, target, set(seen) if filter_seen else set()))
    assert len(expected) == spec.records("sequences", split) > 50
    np.testing.assert_array_equal(evaluation.ranks, expected)


def test_hand_computed_ranks_with_ties_seen_items_and_oov() -> None:
    scores = tf.constant([[3.0, 5.0, 5.0, 1.0]] * 5)
    target = tf.constant([4, 5, 7, OOV, 4])
    assert target_ranks(scores, target).numpy().tolist() == [3.0, 1.5, 4.0, np.inf, 3.0]
    seen = tf.ragged.constant([[5], [6, 5], [], [5], [5, 6, 4, 1]], dtype=tf.int32)
    assert target_ranks(leave_out_seen(scores, target, seen), target).numpy().tolist() == [2.0, 1.0, 4.0, np.inf, 1.0]


def test_seen_items_are_left_out_however_short_the_history_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records keep the 2 latest items, `seen` all of them."""
    import beam_jobs
    from tests.conftest import write_log

    folder = tmp_path_factory.mktemp("short")
    options = beam_jobs.PrepareOptions(
        input=(str(write_log(folder / "log.csv")),), output=str(folder / "DATA"), max_length=2, quiet=True
    )
    beam_jobs.prepare(options)
    spec = DatasetSpec.read(folder / "DATA")
    for batch in evaluation_batches(spec, "test", 8):
        assert batch["history"].shape[1] == 2
        assert batch["seen"].row_lengths().numpy().min() > 2


def test_metrics_agree_with_a_naive_loop(spec: DatasetSpec) -> None:
    """Every metric from its definition, an item and a user at a time."""
    scorer = FixedScores(spec.catalog_size)
    metrics = Evaluator(scorer, spec, filter_seen=True, batch_size=16)().metrics
    ranks = []
    for batch in evaluation_batches(spec, "test", 7):
        scores = scorer.score(batch["history"]).numpy()
        for row, target, seen in zip(scores, batch["target"].numpy(), batch["seen"].to_list(), strict=True):
            ranks.append(naive_rank(row, target, set(seen)))
    users = len(ranks)
    assert metrics["mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / users)
    for k in (1, 5, 10, 20):
        hits = [rank for rank in ranks if rank <= k]
        assert metrics[f"hr@{k}"] == metrics[f"recall@{k}"] == pytest.approx(len(hits) / users)
        assert metrics[f"ndcg@{k}"] == pytest.approx(sum(1 / math.log2(1 + rank) for rank in hits) / users)
        assert metrics[f"mrr@{k}"] == metrics[f"map@{k}"] == pytest.approx(sum(1 / rank for rank in hits) / users)


@pytest.mark.parametrize("filter_seen", [False, True])
def test_the_lists_are_the_best_items_of_the_same_scores(spec: DatasetSpec, filter_seen: bool) -> None:
    scorer = FixedScores(spec.catalog_size)
    evaluation = Evaluator(scorer, spec, filter_seen=filter_seen, ks=(1,), list_length=5)()
    counts = np.array(spec.item_counts)
    row = 0
    for batch in evaluation_batches(spec, "test", 7):
        scores = scorer.score(batch["history"]).numpy()
        for line, target, seen in zip(scores, batch["target"].numpy(), batch["seen"].to_list(), strict=True):
            left_out = {item - FIRST_ITEM_ID for item in seen if item != target} if filter_seen else set()
            order = [column for column in np.argsort(-line, kind="stable") if column not in left_out]
            assert evaluation.recommended[row].tolist() == order[:5]
            assert evaluation.targets[row] == target - FIRST_ITEM_ID
            assert evaluation.history_lengths[row] == len(seen)
            known = [counts[item - FIRST_ITEM_ID] for item in seen if item >= FIRST_ITEM_ID]
            assert evaluation.history_popularity[row] == pytest.approx(np.mean(known))
            row += 1


def test_a_list_ends_where_no_item_is_left(spec: DatasetSpec) -> None:
    evaluation = Evaluator(FixedScores(spec.catalog_size), spec, filter_seen=True, list_length=10_000)()
    assert evaluation.recommended.shape == (evaluation.ranks.size, spec.catalog_size)
    assert (evaluation.recommended[:, -1] == -1).all()


def test_memory_is_bounded_over_large_catalogues() -> None:
    assert users_at_once(1_000) == 256
    assert 4 * 1_000_000 * users_at_once(1_000_000) <= 32 * 2**20
    assert users_at_once(10**9) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(spec: DatasetSpec, bad: float) -> None:
    scorer = FixedScores(spec.catalog_size)
    scorer.table = scorer.table.astype(float)
    scorer.table[:, 3] = bad
    with pytest.raises(EvaluationError, match="NaN or infinity"):
        Evaluator(scorer, spec, ks=(1,))()


def test_a_scorer_of_another_catalogue_is_refused(spec: DatasetSpec) -> None:
    with pytest.raises(EvaluationError, match="trained on another dataset"):
        Evaluator(FixedScores(spec.catalog_size + 1), spec, ks=(1,))()


@pytest.mark.parametrize("k", [0, -1, 10_000])
def test_cut_offs_beyond_the_catalogue_are_refused(spec: DatasetSpec, k: int) -> None:
    with pytest.raises(ConfigError, match=f"k = {k} is out of range"):
        Evaluator(FixedScores(spec.catalog_size), spec, ks=(1, k))


def test_a_split_without_users_is_refused(spec: DatasetSpec) -> None:
    emptied = [dataclasses.replace(file, records=0) if file.split == "test" else file for file in spec.files]
    with pytest.raises(DataError, match="holds no users"):
        Evaluator(FixedScores(spec.catalog_size), dataclasses.replace(spec, files=emptied), ks=(1,))

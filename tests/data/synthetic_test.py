"""The synthetic log has the structure it claims, and its best possible predictor is exact."""

import csv
import dataclasses
import itertools
import json
import time

import numpy as np
import pytest

from tfrec_zoo.data.synthetic import best_possible, synthesize
from tfrec_zoo.data.synthetic_oracle import (
    forward_filter,
    leave_one_out_ranks,
    predict_next,
    ranking_figures,
    target_ranks,
)
from tfrec_zoo.data.synthetic_world import (
    EPOCH_SECONDS,
    FIRST_SECOND,
    NO_ITEM,
    SyntheticParameters,
    make_world,
    sample_log,
)
from tfrec_zoo.errors import ConfigError

FILES = ("log.csv", "log-items.csv", "log-users.csv", "log-truth.json")
TINY = SyntheticParameters(
    users=40,
    items=7,
    categories=3,
    tastes=2,
    epochs=2,
    min_length=5,
    max_length=6,
    follow=0.5,
    lag_weights=(0.5, 0.3, 0.2),
    taste_switch=0.2,
    epoch_advance=0.3,
    drift=0.7,
)


@pytest.fixture(scope="module")
def default():
    world = make_world(SyntheticParameters())
    return world, sample_log(world)


def brute_force_step(world, history, step, taste, epoch):
    """The distribution of event `step` given the hidden state, straight from the description of the process."""
    p = world.parameters
    past = [int(item) for item in history[:step]]
    free = [item for item in range(p.items) if item not in past]
    result = np.zeros(p.items)
    browse = 1.0
    for lag, lag_weight in enumerate(p.lag_weights, start=1):
        for rank, rank_weight in enumerate(p.sequel_weights):
            if lag <= step and (sequel := world.sequels[past[step - lag], rank]) in free:
                result[sequel] += p.follow * lag_weight * rank_weight
                browse -= p.follow * lag_weight * rank_weight
    previous = world.category[past[-1]] if past else p.categories
    weights = {
        item: world.attraction[taste, previous, world.category[item]] * world.popularity[epoch, item] for item in free
    }
    for item in free:
        result[item] += browse * weights[item] / sum(weights.values())
    return result


def test_oracle_equals_enumeration_of_latent_paths():
    world = make_world(TINY)
    log = sample_log(world)
    history = log.items[:4, :4]
    predicted = predict_next(world, history)
    _, log_likelihood = forward_filter(world, history)
    states = list(itertools.product(range(TINY.tastes), range(TINY.epochs)))
    for row, items in enumerate(history):
        joint, evidence = np.zeros(TINY.items), 0.0
        for path in itertools.product(states, repeat=5):
            weight = world.taste_start[path[0][0]] * world.epoch_start[path[0][1]]
            for (taste, epoch), (next_taste, next_epoch) in itertools.pairwise(path):
                weight *= world.taste_move[taste, next_taste] * world.epoch_move[epoch, next_epoch]
            if weight == 0.0:
                continue
            for step, state in enumerate(path[:4]):
                weight *= brute_force_step(world, items, step, *state)[items[step]]
            evidence += weight
            joint += weight * brute_force_step(world, items, 4, *path[4])
        np.testing.assert_allclose(predicted[row], joint / evidence, rtol=1e-10)
        np.testing.assert_allclose(log_likelihood[row].sum(), np.log(evidence), rtol=1e-10)


def test_sampler_draws_from_the_distribution_that_the_oracle_gives():
    # A chi-square over the second item given the first: sampler and oracle share no formula for it.
    world = make_world(dataclasses.replace(TINY, users=60_000, min_length=2, max_length=2))
    log = sample_log(world)
    first = log.items[:, 0]
    start = predict_next(world, np.empty((1, 0), np.int64))[0]
    np.testing.assert_allclose(np.bincount(first, minlength=7) / first.size, start, atol=0.01)
    given = np.arange(7)[:, None]
    expected = predict_next(world, given)
    statistic, freedom = 0.0, 0
    for item in range(7):
        seconds = log.items[first == item, 1]
        counts, mean = np.bincount(seconds, minlength=7), expected[item] * seconds.size
        keep = mean > 5
        statistic += ((counts - mean)[keep] ** 2 / mean[keep]).sum()
        freedom += keep.sum() - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


def test_prediction_is_a_distribution_over_untouched_items(default):
    world, log = default
    history = log.items[log.lengths >= 30][:64, :30]
    predicted = predict_next(world, history)
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0, rtol=1e-10)
    assert (np.take_along_axis(predicted, history, axis=1) == 0.0).all()
    assert ((predicted > 0.0).sum(axis=1) == world.parameters.items - 30).all()


def test_prediction_when_a_category_is_exhausted():
    world = make_world(TINY)
    history = np.array([[item for item in range(7) if item != 3]])
    np.testing.assert_allclose(predict_next(world, history)[0], np.eye(7)[3], atol=1e-12)


def test_oracle_is_calibrated_and_beats_popularity_and_wrong_parameters(default):
    world, log = default
    rows = log.items[log.lengths >= 30][:, :30]
    _, right = forward_filter(world, rows)
    counts = np.bincount(log.items[log.items != NO_ITEM], minlength=world.parameters.items) + 1.0
    popularity = np.log(counts / counts.sum())[rows]
    assert right[:, 1:].mean() > popularity[:, 1:].mean() + 0.5
    taste_blind = np.broadcast_to(world.attraction.mean(axis=0), world.attraction.shape)
    wrong = (
        dataclasses.replace(world, attraction=taste_blind),
        dataclasses.replace(world, attraction=np.repeat(world.attraction[:, -1:], 21, axis=1)),
        dataclasses.replace(world, popularity=world.popularity[::-1]),
        dataclasses.replace(world, parameters=dataclasses.replace(world.parameters, follow=0.0)),
    )
    for other in wrong:
        gain = (right - forward_filter(other, rows)[1]).mean(axis=1)
        assert gain.mean() > 4 * gain.std() / np.sqrt(gain.size)
    # Calibration: the mean probability of the favourite equals how often it comes.
    predicted = predict_next(world, rows[:, :-1])
    hit = predicted.argmax(axis=1) == rows[:, -1]
    assert abs(predicted.max(axis=1).mean() - hit.mean()) < 4 * hit.std() / np.sqrt(hit.size)


def test_default_range_is_wide_and_fast():
    start = time.process_time()  # what it takes of the processor, whatever else runs
    world = make_world(SyntheticParameters())
    truth = best_possible(world, sample_log(world))
    assert time.process_time() - start < 15
    assert 60_000 <= truth.interactions <= 100_000
    assert truth.evaluated_users == world.parameters.users
    assert 0.03 <= truth.popularity.ndcg_at_10 <= 0.06
    assert 0.15 <= truth.best_possible.ndcg_at_10 <= 0.30
    assert truth.share_learned(truth.popularity.ndcg_at_10) == 0.0
    assert truth.share_learned(truth.best_possible.ndcg_at_10) == 1.0


def test_every_part_of_the_structure_is_worth_learning(default):
    world, log = default
    best, popular = leave_one_out_ranks(world, log)
    gap = ranking_figures(best).ndcg_at_10 - ranking_figures(popular).ndcg_at_10
    taste_blind = np.broadcast_to(world.attraction.mean(axis=0), world.attraction.shape)
    order_blind = np.repeat(world.attraction[:, :-1].mean(axis=1, keepdims=True), 21, axis=1)
    for other, least in (
        (dataclasses.replace(world, attraction=taste_blind), 0.3),
        (dataclasses.replace(world, attraction=order_blind), 0.02),
        (dataclasses.replace(world, parameters=dataclasses.replace(world.parameters, follow=0.0)), 0.02),
    ):
        worse = leave_one_out_ranks(other, log)[0]
        assert ranking_figures(best).ndcg_at_10 - ranking_figures(worse).ndcg_at_10 > least * gap


def test_log_has_no_repeats_and_times_agree_with_epochs(default):
    _, log = default
    for items, length in zip(log.items, log.lengths, strict=True):
        assert len(set(items[:length].tolist())) == length
        assert (items[length:] == NO_ITEM).all()
    present = log.items != NO_ITEM
    assert (present.sum(axis=1) == log.lengths).all()
    assert ((log.times - FIRST_SECOND) // EPOCH_SECONDS)[present].tolist() == log.epochs[present].tolist()
    steps = np.diff(log.times, axis=1)
    assert (steps[present[:, 1:]] > 0).all()
    assert set(np.unique(log.ratings[present])) == {1, 2, 3, 4, 5}
    assert (log.lengths.min(), log.lengths.max()) == (10, 50)


def test_popularity_is_zipf_within_categories_and_drifts(default):
    world, log = default
    p = world.parameters
    counts = np.bincount(log.items[log.items != NO_ITEM], minlength=p.items)
    halves = [np.sort(counts[world.category == c])[::-1] for c in range(p.categories)]
    assert np.mean([half[:5].sum() / half.sum() for half in halves]) > 0.3
    static = make_world(dataclasses.replace(p, drift=0.0))
    np.testing.assert_allclose(
        np.sort(static.popularity[0])[:: -p.categories], 1.0 / np.arange(1, p.items // p.categories + 1)
    )
    early, late = (np.bincount(log.items[log.epochs * (log.items != NO_ITEM) == e], minlength=p.items) for e in (1, 3))
    rise = np.log(world.popularity[3] / world.popularity[1])
    assert np.corrcoef(rise, np.log((late + 5.0) / (early + 5.0)))[0, 1] > 0.3


def test_tastes_and_transitions_show_in_the_log(default):
    world, log = default
    p = world.parameters
    present = log.items != NO_ITEM
    category = world.category[log.items]
    by_taste = np.zeros((p.tastes, p.categories))
    np.add.at(by_taste, (log.tastes[present], category[present]), 1.0)
    for taste in range(p.tastes):
        assert np.corrcoef(world.taste_affinity[taste], np.log(by_taste[taste] + 1.0))[0, 1] > 0.7
    follows = present[:, 1:]
    pairs = np.zeros((p.tastes, p.categories, p.categories))
    np.add.at(pairs, (log.tastes[:, 1:][follows], category[:, :-1][follows], category[:, 1:][follows]), 1.0)
    # Within a taste, the excess of a pair over independence goes with the transition's attraction.
    independent = pairs.sum(2, keepdims=True) * pairs.sum(1, keepdims=True) / pairs.sum((1, 2), keepdims=True)
    excess, often = np.log((pairs + 1.0) / (independent + 1.0)), independent > 30
    after = np.log(world.attraction[:, :-1] / world.attraction[:, -1:])
    assert np.corrcoef(excess[often], after[often])[0, 1] > 0.5
    switches = (np.diff(log.tastes, axis=1) != 0)[follows].mean()
    assert abs(switches - p.taste_switch * (1 - 1 / p.tastes)) < 0.002
    liked = world.taste_affinity[log.tastes, category][present]
    assert np.corrcoef(liked, log.ratings[present])[0, 1] > 0.3


def test_numbers_of_raw_ids_say_nothing(default):
    world, log = default
    counts = np.bincount(log.items[log.items != NO_ITEM], minlength=world.parameters.items)
    numbers = np.arange(world.parameters.items)
    assert abs(np.corrcoef(numbers, world.category)[0, 1]) < 0.15
    assert abs(np.corrcoef(numbers, counts)[0, 1]) < 0.15


def test_ranks_count_ties_half_and_leave_touched_items_out():
    scores = np.array([[3.0, 1.0, 2.0, 2.0, 5.0]])
    touched = np.array([[False, False, False, False, True]])
    assert target_ranks(scores, np.array([2]), touched).tolist() == [2.5]
    figures = ranking_figures(np.array([1.0, 3.0, 11.0]))
    assert figures.ndcg_at_10 == pytest.approx(1.5 / 3)
    assert figures.hr_at_10 == pytest.approx(2 / 3)


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path):
    for folder, seed in (("a", 4), ("b", 4), ("c", 5)):
        synthesize(tmp_path / folder / "log.csv", users=150, items=80, seed=seed)
    for name in FILES:
        a, b, c = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert a == b != c
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES)


def test_files_hold_the_log_and_the_truth(tmp_path):
    truth = synthesize(tmp_path / "log.csv", users=300, items=80, seed=1)
    rows, items, users = (list(csv.DictReader((tmp_path / name).open())) for name in FILES[:3])
    assert list(rows[0]) == ["user_id", "item_id", "timestamp", "rating"]
    assert len(rows) == truth.interactions
    times = [int(row["timestamp"]) for row in rows]
    assert times == sorted(times)
    assert {row["item_id"] for row in rows} <= {row["item_id"] for row in items}
    assert {row["user_id"] for row in rows} == {row["user_id"] for row in users}
    assert len(items) == 80
    stored = json.loads((tmp_path / "log-truth.json").read_text())
    assert stored == json.loads(json.dumps(truth.to_json()))
    assert stored["best_possible"]["ndcg@10"] > stored["popularity"]["ndcg@10"]
    assert stored["best_possible"]["ndcg@10"] == pytest.approx(truth.best_possible.ndcg_at_10, abs=1e-6)

    # The log that was written is the log that was measured.
    log = sample_log(make_world(truth.parameters))
    first = [row["item_id"] for row in rows if row["user_id"] == "u000007"]
    assert first == [f"i{item:06d}" for item in log.items[7, : log.lengths[7]]]
    segments = np.array([int(row["segment"][1:]) for row in users])
    assert 0.5 < (segments == log.tastes[:, 0]).mean() < 0.85


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": 0}, "users is 0; give at least 1"),
        ({"items": 50}, "50 items are too few for histories of up to 50 events.*at least 51 items"),
        ({"items": 15, "max_length": 12}, "cannot fill 20 categories"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"min_length": 60}, "max_length 50 is below min_length 60"),
        ({"min_length": 1, "max_length": 2}, "no user has 3 events"),
    ],
)
def test_impossible_parameters(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        synthesize(tmp_path / "log.csv", **change)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"follow": 1.5}, "follow is 1.5; a probability"),
        ({"drift": float("nan")}, "drift is nan"),
        ({"lag_weights": (0.5, 0.4)}, "lag_weights is .* sum to 1"),
        ({"sequel_weights": ()}, "sequel_weights is .* sum to 1"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_impossible_worlds(change, message):
    with pytest.raises(ConfigError, match=message):
        SyntheticParameters(**change)


def test_output_that_is_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="is a folder; give the name of a file"):
        synthesize(tmp_path)

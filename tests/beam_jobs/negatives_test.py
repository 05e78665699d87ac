import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.hashing import mix
from beam_jobs.negatives import NegativeSampler


def keys_of(rows: int, seed: int = 0) -> np.ndarray:
    return mix(np.arange(rows, dtype=np.uint64) + np.uint64(seed * 1_000_003))


@st.composite
def cases(draw):
    widths = draw(st.lists(st.integers(1, 50), min_size=1, max_size=12))
    users = draw(st.integers(1, 5))
    pairs = draw(
        st.lists(st.tuples(st.integers(0, users - 1), st.integers(0, len(widths) - 1)), max_size=3 * len(widths))
    )
    rows = draw(st.lists(st.integers(0, users - 1), max_size=30))
    return np.array(widths), np.array(pairs, np.int64).reshape(-1, 2), np.array(rows, np.int64)


@settings(max_examples=300)
@given(cases(), st.integers(1, 5), st.integers(0, 1000))
def test_no_draw_is_an_item_to_avoid_and_none_is_missing(case, count, seed):
    widths, pairs, user = case
    row, rank = NegativeSampler(widths).draw(keys_of(len(user), seed), user, pairs[:, 0], pairs[:, 1], count)
    avoided = {tuple(pair) for pair in pairs.tolist()}
    assert not avoided & set(zip(user[row].tolist(), rank.tolist(), strict=True))
    assert ((rank >= 0) & (rank < len(widths))).all()
    has_rest = [len({r for u, r in avoided if u == one}) < len(widths) for one in user.tolist()]
    assert np.bincount(row, minlength=len(user)).tolist() == [count * rest for rest in has_rest]


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_draws_follow_the_distribution_without_the_avoided_items(distribution):
    counts = np.array([50, 30, 10, 6, 3, 1])
    rows = 200_000
    user = np.arange(rows) % 2
    sampler = NegativeSampler.of(distribution, counts, 3)
    row, rank = sampler.draw(keys_of(rows), user, np.array([0, 0, 1]), np.array([1, 3, 0]), 1)
    weights = np.ones(6) if distribution == "uniform" else counts
    for one, avoided in ((0, [1, 3]), (1, [0])):
        expected = np.where(np.isin(np.arange(6), avoided), 0, weights)
        seen = np.bincount(rank[user[row] == one], minlength=6) / (rows / 2)
        # Five standard deviations of a share over 100,000 draws.
        np.testing.assert_allclose(seen, expected / expected.sum(), atol=5 * 0.5 / np.sqrt(rows / 2))


def test_a_draw_depends_on_its_key_alone():
    sampler, avoid = NegativeSampler(np.arange(1, 200)), (np.array([0, 1, 1]), np.array([3, 4, 5]))
    user, keys = np.arange(40) % 2, keys_of(40)
    _, whole = sampler.draw(keys, user, *avoid, 3)
    _, half = sampler.draw(keys[20:], user[20:], *avoid, 3)
    assert whole.reshape(-1, 3)[20:].tolist() == half.reshape(-1, 3).tolist()
    for other in (
        sampler.draw(keys_of(40, 1), user, *avoid, 3),
        NegativeSampler(np.arange(1, 200), 1).draw(keys, user, *avoid, 3),
    ):
        assert (whole != other[1]).mean() > 0.9


def test_a_line_too_long_for_64_bits_is_refused():
    with pytest.raises(OverflowError, match="64 bits"):
        NegativeSampler(np.array([1 << 62])).draw(
            keys_of(1), np.array([3]), np.zeros(0, np.int64), np.zeros(0, np.int64), 1
        )

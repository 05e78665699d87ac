import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.aggregates import Totals, leave_one_out


def features(group, value, train, groups):
    group, value, train = np.array(group, np.int64), np.array(value), np.array(train, bool)
    totals = Totals.of(np.where(train, group, 0), value, train, groups)
    return leave_one_out(totals, totals.everything(), group, value, train)


def test_a_row_sees_the_other_rows_of_its_group():
    count, mean = features([0, 0, 0, 1, 0], [1, 1, 0, 1, 1], [1, 1, 1, 1, 0], 2)
    # Group 0 has labels 1 1 0 in train. The only row of group 1 sees the mean of all others, 2 of 3.
    assert count.tolist() == [2, 2, 2, 0, 3]
    np.testing.assert_allclose(mean, [1 / 2, 1 / 2, 1, 2 / 3, 2 / 3], rtol=1e-6)


def test_a_group_without_train_rows_has_the_mean_of_all():
    count, mean = features([0, 0, 1, -1], [5.0, 2.0, 1.0, 1.0], [1, 1, 0, 0], 2)
    assert count.tolist() == [1, 1, 0, 0]
    assert mean.tolist() == [2, 5, 3.5, 3.5]
    assert mean.dtype == np.float32


def test_a_lone_train_row_sees_nothing():
    count, mean = features([0, 0], [1, 1], [1, 0], 1)
    assert count.tolist() == [0, 1]
    assert mean.tolist() == [0, 1]


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.booleans()), min_size=1, max_size=20)


@settings(max_examples=200)
@given(rows, st.data())
def test_a_label_changes_no_feature_of_its_own_row_and_a_held_out_one_none_at_all(rows, data):
    group, value, train = (list(column) for column in zip(*rows, strict=True))
    before = features(group, value, train, 4)
    place = data.draw(st.integers(0, len(rows) - 1))
    value[place] = 1 - value[place]
    after = features(group, value, train, 4)
    same = [place] if train[place] else range(len(rows))
    for one, other in zip(before, after, strict=True):
        assert one[same].tolist() == other[same].tolist()

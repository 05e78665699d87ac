import math

import numpy as np
import pytest

from tfrec_zoo.metrics.generation import distinct, entropy, has_collapsed, loops


def test_hand_computed() -> None:
    sequences = np.array([[1, 2, 1, 2], [1, 2, 3, 3]])
    assert float(distinct(sequences, 1)) == pytest.approx(3 / 8)
    assert float(distinct(sequences, 2)) == pytest.approx(4 / 6)  # 12 21 12 | 12 23 33
    assert float(entropy(np.array([[5, 5], [5, 5]]))) == 0
    empty = np.zeros((0, 4), int)
    assert float(distinct(empty)) == float(entropy(empty)) == 0
    assert float(entropy(np.array([[1, 2], [3, 4]]))) == pytest.approx(math.log(4))


def test_a_collapse_is_half_of_the_pairs_or_a_nat() -> None:
    assert not has_collapsed(0.5, 0.9, 3.0, 3.5)
    assert has_collapsed(0.4, 0.9, 3.0, 3.5)
    assert has_collapsed(0.9, 0.9, 2.0, 3.5)


def test_an_item_three_times_in_a_row_is_a_loop() -> None:
    sequences = np.array([[1, 1, 1, 2], [1, 1, 2, 1], [2, 3, 3, 3], [1, 2, 1, 2]])
    assert loops(sequences).numpy().tolist() == [True, False, True, False]
    assert loops(sequences[:, :2]).numpy().tolist() == [False] * 4

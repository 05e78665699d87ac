import math

import numpy as np
import pytest

from tfrec_zoo.metrics.generation import distinct, entropy


def test_hand_computed() -> None:
    sequences = np.array([[1, 2, 1, 2], [1, 2, 3, 3]])
    assert float(distinct(sequences, 1)) == pytest.approx(3 / 8)
    assert float(distinct(sequences, 2)) == pytest.approx(4 / 6)  # 12 21 12 | 12 23 33
    assert float(entropy(np.array([[5, 5], [5, 5]]))) == 0
    empty = np.zeros((0, 4), int)
    assert float(distinct(empty)) == float(entropy(empty)) == 0
    assert float(entropy(np.array([[1, 2], [3, 4]]))) == pytest.approx(math.log(4))

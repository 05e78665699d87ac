import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.samplers import static_rank


@pytest.mark.parametrize("rho", [0.3, 0.5])
def test_the_law_is_that_of_the_paper(rho: float) -> None:
    items, draws = 20, 200_000
    drawn = static_rank.sample((draws,), items, rho, tf.constant([0, 1])).numpy()
    weights = np.exp(-(np.arange(items) + 1) / (items * rho))
    np.testing.assert_allclose(np.bincount(drawn, minlength=items) / draws, weights / weights.sum(), atol=4e-3)
    np.testing.assert_array_equal(static_rank.sample((draws,), items, rho, tf.constant([0, 1])), drawn)

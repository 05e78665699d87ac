import keras
import numpy as np
import pytest

from tfrec_zoo.layers.dilated_residual_block import DilatedResidualBlock

DIM, LENGTH, DILATION = 3, 11, 2


def naive(block: DilatedResidualBlock, hidden: np.ndarray, real: np.ndarray, causal: bool) -> np.ndarray:
    """The block by loops over rows, columns and taps."""
    branch = hidden
    weights = [weight.numpy() for weight in block.weights]
    for step, rate in enumerate((DILATION, 2 * DILATION)):
        kernel, bias = weights[2 * step : 2 * step + 2]
        gamma, beta = weights[4 + 2 * step : 6 + 2 * step]
        taps = len(kernel)
        out = np.zeros_like(branch)
        for row in range(len(branch)):
            for column in range(LENGTH):
                if not real[row, column]:
                    continue
                summed = bias.copy()
                for tap in range(taps):
                    back = taps - 1 - tap if causal else (taps - 1) // 2 - tap
                    source = column - rate * back
                    if 0 <= source < LENGTH:
                        summed = summed + branch[row, source] @ kernel[tap]
                norm = (summed - summed.mean()) / np.sqrt(summed.var() + 1e-6) * gamma + beta
                out[row, column] = np.maximum(norm, 0)
        branch = out
    return hidden + branch


@pytest.mark.parametrize("causal", [True, False])
def test_it_is_what_a_naive_loop_computes(causal: bool) -> None:
    keras.utils.set_random_seed(0)
    block = DilatedResidualBlock(DIM, kernel_size=3, dilation=DILATION, dropout=0.5, causal=causal)
    block.build((None, None, DIM))
    rng = np.random.default_rng(0)
    for weight in block.weights:
        weight.assign(rng.normal(size=weight.shape))
    real = np.arange(LENGTH) >= np.array([[0], [4], [LENGTH - 1], [LENGTH]])
    hidden = rng.normal(size=(4, LENGTH, DIM)).astype(np.float32) * real[..., None]
    np.testing.assert_allclose(block(hidden, real), naive(block, hidden, real, causal), atol=1e-4)
    assert not np.asarray(block(hidden, real))[~real].any(), "zeros at PAD"

import keras
import numpy as np
import pytest

from tfrec_zoo.layers.scale_shift import ScaleShift
from tfrec_zoo.layers.serial_patch import ParallelPatch, SerialPatch

OUTPUT = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
INPUTS = np.random.default_rng(1).normal(size=(2, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("patch", [SerialPatch(2), ParallelPatch(2), ScaleShift()])
def test_a_new_patch_is_the_identity_to_the_bit(patch: keras.Layer) -> None:
    assert np.asarray(patch(OUTPUT, INPUTS)).tobytes() == OUTPUT.tobytes()


@pytest.mark.parametrize(("patch_class", "reads"), [(SerialPatch, OUTPUT), (ParallelPatch, INPUTS)])
def test_what_the_bottleneck_reads(patch_class: type[SerialPatch], reads: np.ndarray) -> None:
    patch = patch_class(2)
    patch.build(OUTPUT.shape, INPUTS.shape)
    rng = np.random.default_rng(2)
    for weight in patch.weights:
        weight.assign(rng.normal(size=weight.shape))
    down, down_bias, up, up_bias = (weight.numpy() for weight in patch.weights)
    inner = keras.ops.convert_to_numpy(keras.ops.gelu(reads @ down + down_bias, approximate=False))
    np.testing.assert_allclose(patch(OUTPUT, INPUTS), OUTPUT + inner @ up + up_bias, rtol=1e-4, atol=1e-4)
    assert patch.count_params() == reads.shape[-1] * 2 + 2 + 2 * 8 + 8


def test_scale_and_shift_reach_what_a_trained_layernorm_reaches() -> None:
    norm, wanted = keras.layers.LayerNormalization(), keras.layers.LayerNormalization()
    norm.build(OUTPUT.shape)
    wanted.build(OUTPUT.shape)
    rng = np.random.default_rng(3)
    for layer in (norm, wanted):
        layer.set_weights([rng.uniform(0.5, 2, 8), rng.normal(size=8)])
    (gamma, beta), (new_gamma, new_beta) = norm.get_weights(), wanted.get_weights()
    patch = ScaleShift()
    patch.build(OUTPUT.shape, OUTPUT.shape)
    scale = new_gamma / gamma - 1
    patch.set_weights([scale, new_beta - beta * (1 + scale)])
    np.testing.assert_allclose(patch(norm(OUTPUT), OUTPUT), wanted(OUTPUT), rtol=1e-4, atol=1e-5)

import keras
import numpy as np

from tfrec_zoo.fused_adam import FusedAdam


def test_it_is_keras_adam() -> None:
    rng = np.random.default_rng(0)
    one, other = keras.Variable(np.ones((4, 3), "float32")), keras.Variable(np.ones((4, 3), "float32"))
    fused, plain = FusedAdam(0.1), keras.optimizers.Adam(0.1)
    for _ in range(5):
        gradient = rng.normal(size=(4, 3)).astype(np.float32)
        fused.apply([keras.ops.convert_to_tensor(gradient)], [one])
        plain.apply([keras.ops.convert_to_tensor(gradient)], [other])
    np.testing.assert_allclose(one, other, rtol=1e-5)

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.backbones.dilated_conv import DilatedConvBackbone
from tfrec_zoo.dataset_spec import CLS, FIRST_ITEM_ID, PAD

ITEMS, DIM, LENGTH = 30, 8, 24


def backbone(causal: bool = True, dilations: tuple[int, ...] = (1, 2)) -> DilatedConvBackbone:
    keras.utils.set_random_seed(0)
    layer = DilatedConvBackbone(ITEMS, DIM, dilations, kernel_size=3, dropout=0.3, causal=causal)
    layer.build((None, LENGTH))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        if weight.dtype == "float32":
            weight.assign(rng.normal(size=weight.shape))
    return layer


def sequences(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(1).integers(FIRST_ITEM_ID, FIRST_ITEM_ID + ITEMS, (rows, length)).astype(np.int32)


def influence(layer: DilatedConvBackbone, column: int) -> np.ndarray:
    """Columns of the embedding whose gradient reaches one column of the output."""
    item_ids = tf.constant(sequences(4, LENGTH))
    embedded = layer.embedding(item_ids)
    with tf.GradientTape() as tape:
        tape.watch(embedded)
        hidden = embedded
        for block in layer.blocks:
            hidden = block(hidden, item_ids != PAD)
        out = tf.reduce_sum(hidden[:, column] ** 2)
    np.testing.assert_array_equal(hidden, layer(item_ids))
    return np.flatnonzero(np.abs(tape.gradient(out, embedded)).max(axis=(0, 2)) > 0)


def test_a_causal_position_never_sees_the_future() -> None:
    layer = backbone()
    assert layer.receptive_field == 1 + 2 * (1 + 2) + 2 * (2 + 4) == 19
    np.testing.assert_array_equal(influence(layer, 21), np.arange(21 - 18, 22))
    np.testing.assert_array_equal(influence(layer, 5), np.arange(6))


def test_the_other_kind_sees_both_sides_alike() -> None:
    layer = backbone(causal=False, dilations=(1,))
    np.testing.assert_array_equal(influence(layer, 12), np.arange(12 - 3, 12 + 4))


@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_nothing_whatever_the_length(causal: bool) -> None:
    layer = backbone(causal)
    for length in (1, 3, LENGTH):  # shorter than the receptive field too
        alone = sequences(3, length)
        padded = np.pad(alone, [[0, 0], [9, 0]])
        hidden = layer(padded).numpy()
        np.testing.assert_allclose(hidden[:, 9:], layer(alone), rtol=1e-4, atol=1e-5)
        assert not hidden[:, :9].any()


def test_what_is_in_the_padding_has_no_say() -> None:
    layer = backbone()
    item_ids = np.pad(sequences(3, 6), [[0, 0], [7, 0]])
    before = layer(item_ids).numpy()
    table = layer.embedding.item_embeddings.numpy()
    table[PAD] += 100.0
    layer.embedding.item_embeddings.assign(table)
    np.testing.assert_array_equal(layer(item_ids), before)


def test_the_last_column_is_that_of_cls() -> None:
    layer = backbone()
    histories = np.concatenate([sequences(2, 5), np.full((2, 1), CLS, np.int32)], axis=1)
    longer = np.concatenate([histories, sequences(2, 1)], axis=1)
    np.testing.assert_allclose(layer(histories)[:, -1], layer(longer)[:, -2], rtol=1e-4, atol=1e-5)
    assert (np.abs(layer(histories)[:, -1] - layer(histories)[:, -2]) > 1e-3).any()

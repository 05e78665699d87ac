import numpy as np

from tfrec_zoo.layers.sequence_embedding import SequenceEmbedding


def test_positions_are_counted_from_the_newest_column() -> None:
    layer = SequenceEmbedding(catalog_size=9, max_length=6, dim=8, dropout=0.0)
    long = layer(np.array([[0, 0, 4, 5, 6, 7]]))
    short = layer(np.array([[5, 6, 7]]))
    np.testing.assert_allclose(long[:, -3:], short, rtol=1e-6)


def test_the_same_item_differs_by_position() -> None:
    layer = SequenceEmbedding(catalog_size=9, max_length=6, dim=8, dropout=0.0)
    first, second = np.asarray(layer(np.array([[5, 5]])))[0]
    assert np.abs(first - second).max() > 1e-3


def test_hand_computed_sum_and_norm() -> None:
    layer = SequenceEmbedding(catalog_size=1, max_length=2, dim=2, dropout=0.0)
    layer.build((None, 2))
    layer.item_embeddings.assign(np.array([[0, 0], [0, 0], [0, 0], [0, 0], [3, 1]]))
    layer.position_embeddings.assign(np.array([[0, 2], [1, 1]]))
    # Newest: [3, 3] -> constant, normalised to 0. Before it: [4, 2] -> mean 3, deviation 1.
    np.testing.assert_allclose(layer(np.array([[4, 4]]))[0], [[1, -1], [0, 0]], atol=1e-5)

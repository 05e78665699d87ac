import numpy as np

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.layers.catalog_projection import CatalogProjection


def test_column_j_is_the_item_with_id_j_plus_four() -> None:
    layer = CatalogProjection(catalog_size=3)
    hidden = np.random.default_rng(0).normal(size=(2, 1, 5)).astype(np.float32)
    embeddings = np.zeros((FIRST_ITEM_ID + 3, 5), np.float32)
    embeddings[:FIRST_ITEM_ID] = 100.0  # the reserved ids have no column
    assert np.abs(layer(hidden, embeddings)).max() == 0
    layer.bias.assign([0.0, 2.0, 0.0])
    np.testing.assert_allclose(layer(hidden, embeddings)[..., :], [[[0, 2, 0]]] * 2, atol=1e-6)
    embeddings[FIRST_ITEM_ID + 2] = 1.0
    logits = np.asarray(layer(hidden, embeddings))
    assert np.abs(logits[..., 0]).max() == 0
    # The query is layer-normalised, so its dot product with ones vanishes while gamma is 1 and beta 0.
    np.testing.assert_allclose(logits[..., 2], 0, atol=1e-5)


def test_the_embeddings_are_no_weight_of_the_layer() -> None:
    layer = CatalogProjection(catalog_size=3)
    layer(np.ones((1, 5), np.float32), np.ones((7, 5), np.float32))
    assert sorted(tuple(weight.shape) for weight in layer.weights) == [(3,), (5,), (5,), (5,), (5, 5)]

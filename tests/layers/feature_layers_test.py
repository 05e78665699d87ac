"""Layers of models of features, beside naive computations."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.backbones.tower import Tower
from tfrec_zoo.dataset_spec import OOV
from tfrec_zoo.layers.dice import Dice
from tfrec_zoo.layers.fe_block import FEBlock
from tfrec_zoo.layers.field_embeddings import FieldEmbeddings
from tfrec_zoo.layers.light_se import LightSE
from tfrec_zoo.layers.local_activation import LocalActivationUnit

RNG = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_fields_of_every_kind():
    layer = FieldEmbeddings({"id": 5, "tags": 3, "age": None}, dim=4)
    layer.build()
    given = {
        "id": np.array([4, OOV], np.int32),
        "tags": np.array([[4, 6], [0, 0]], np.int32),
        "age": np.array([2.0, 0.0], np.float32),
    }
    vectors = layer(given).numpy()
    ids, tags, (slope, offset) = layer._tables["id"].numpy(), layer._tables["tags"].numpy(), layer._lines["age"]
    np.testing.assert_allclose(vectors[0], [ids[4], (tags[4] + tags[6]) / 2, 2 * slope + offset], rtol=1e-5)
    np.testing.assert_allclose(vectors[1], [ids[OOV], np.zeros(4), offset], rtol=1e-5)
    assert layer.get_config()["fields"] == {"id": 5, "tags": 3, "age": None}


def test_training_sees_some_ids_as_unknown():
    layer = FieldEmbeddings({"id": 5}, dim=4, unknown_rate=0.3)
    layer.build()
    ids = np.full(4000, 6, np.int32)
    table = layer._tables["id"].numpy()
    trained = layer({"id": ids}, training=True).numpy()[:, 0]
    unknown = np.isclose(trained, table[OOV]).all(axis=1)
    assert np.isclose(trained[~unknown], table[6]).all()
    assert abs(unknown.mean() - 0.3) < 0.03
    np.testing.assert_array_equal(layer({"id": ids}, training=False).numpy()[:, 0], table[ids])


def test_the_gradient_of_a_field_is_sparse():
    layer = FieldEmbeddings({"id": 5}, dim=4)
    layer.build()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer({"id": tf.constant([4, 4, 5])}))
    assert isinstance(tape.gradient(total, layer._tables["id"].value), tf.IndexedSlices)


def test_light_se_beside_its_formula():
    layer, fields = LightSE(), random(3, 4, 5)
    weighed = layer(fields).numpy()
    z = fields.mean(axis=-1) @ layer._dense.kernel.numpy() + layer._dense.bias.numpy()
    share = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weighed, fields * share[..., None] + fields, rtol=1e-5)


def test_fe_block_beside_a_naive_loop():
    block = FEBlock([6, 4], 5, heads=2, item_heads=3, head_dim=4)
    block.build()
    layers, items = [random(2, 6), random(2, 4)], random(2 * 7, 5)
    users, heads = block.user_heads(layers).numpy(), block.item_heads_of(items).numpy().reshape(2, 7, 3, 4)
    assert users.shape == (2, 4, 4)
    expected = np.zeros((2, 7))
    for row in range(2):
        for candidate in range(7):
            for user_head in users[row]:
                expected[row, candidate] += max(user_head @ head for head in heads[row, candidate])
    np.testing.assert_allclose(block.match(users, heads), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(users[:, 2:], (layers[1] @ block._user[1].kernel.numpy()).reshape(2, 2, 4), rtol=1e-4)


def test_dice_beside_its_formula():
    layer, values = Dice(), random(500, 3) * 2 + 1
    layer.build(values.shape)
    layer.alpha.assign([0.0, 0.5, 1.0])
    share = 1 / (1 + np.exp(-(values - values.mean(0)) / np.sqrt(values.var(0) + 1e-3)))
    expected = share * values + (1 - share) * np.array([0.0, 0.5, 1.0]) * values
    np.testing.assert_allclose(layer(values, training=True), expected, rtol=1e-3, atol=1e-4)
    for _ in range(100):
        layer(values, training=True)
    np.testing.assert_allclose(layer(values, training=False), expected, rtol=1e-2, atol=1e-3)


def test_local_activation_beside_a_naive_loop():
    unit = LocalActivationUnit((6,))
    candidates, history, known = random(2, 3, 4), random(2, 5, 4), np.array([[0, 0, 1, 1, 1], [0] * 5], np.float32)
    sums = unit(candidates, history, known).numpy()
    hidden, weight = unit._hidden[0], unit._weight
    for row in range(2):
        for place in range(3):
            expected = np.zeros(4)
            for item in range(5):
                q, k = candidates[row, place], history[row, item]
                joined = np.concatenate([q, k, q - k, q * k]) @ hidden.kernel.numpy() + hidden.bias.numpy()
                score = 1 / (1 + np.exp(-joined)) @ weight.kernel.numpy() + weight.bias.numpy()
                expected += known[row, item] * score[0] * k
            np.testing.assert_allclose(sums[row, place], expected, rtol=1e-4, atol=1e-5)
    padded = unit(candidates, np.pad(history, [[0, 0], [2, 0], [0, 0]]), np.pad(known, [[0, 0], [2, 0]]))
    np.testing.assert_allclose(padded, sums, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_tower_gives_every_layer(batch_norm: bool):
    tower = Tower((6, 4), dropout=0.5, batch_norm=batch_norm)
    outputs = tower(random(3, 5), training=False)
    assert [tuple(output.shape) for output in outputs] == [(3, 6), (3, 4)]
    assert tower.compute_output_shape((None, 5)) == [(None, 6), (None, 4)]
    again = Tower.from_config(tower.get_config())
    assert (again.units, again.dropout, again.batch_norm) == ((6, 4), 0.5, batch_norm)

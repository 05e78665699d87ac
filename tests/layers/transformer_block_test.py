import numpy as np

from tfrec_zoo.layers.transformer_block import TransformerBlock


def test_hidden_positions_influence_no_visible_one() -> None:
    rng = np.random.default_rng(0)
    block = TransformerBlock(dim=8, heads=2, dropout=0.5)
    hidden = rng.normal(size=(3, 5, 8)).astype(np.float32)
    visible = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]], bool)
    changed = np.where(visible[:, :, None], hidden, 100.0)
    before, after = (np.asarray(block(x, visible[:, None, :])) for x in (hidden, changed))
    np.testing.assert_allclose(before[visible], after[visible], rtol=1e-5, atol=1e-6)
    assert np.isfinite(after).all()


def test_every_visible_position_influences_every_other() -> None:
    block = TransformerBlock(dim=8, heads=2, dropout=0.0)
    hidden = np.random.default_rng(0).normal(size=(1, 4, 8)).astype(np.float32)
    before = np.asarray(block(hidden, np.ones((1, 1, 4), bool)))
    hidden[0, 3, :4] += 5.0  # not a shift of the whole vector, which LayerNorm would undo
    after = np.asarray(block(hidden, np.ones((1, 1, 4), bool)))
    assert (np.abs(before - after).max(axis=-1) > 1e-6).all()


def test_outputs_are_normalised() -> None:
    block = TransformerBlock(dim=16, heads=4, dropout=0.0)
    out = np.asarray(block(np.random.default_rng(0).normal(size=(2, 3, 16)), np.ones((2, 1, 3), bool)))
    np.testing.assert_allclose(out.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=-1), 1, atol=1e-3)

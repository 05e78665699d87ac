import numpy as np
import pytest
import tensorflow as tf

from tests.models.model_contract import new_model, random_histories
from tfrec_zoo.augmentation.gap_filling import GapFiller
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.models.peterrec import PeterRec
from tfrec_zoo.models.sasrec import SASRec

WIDTH, READ = 12, 8
SEEDS = np.arange(16, dtype=np.int64)


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> PeterRec:
    return new_model(PeterRec, {"dim": 16, "dilations": [1, 2], "max_length": READ, "causal": False}, spec)


@pytest.fixture(scope="module")
def histories(spec: DatasetSpec) -> tuple[np.ndarray, np.ndarray]:
    history = random_histories(spec, 16, WIDTH)
    return history, (np.random.default_rng(0).random(history.shape) < 0.5) & (history != PAD)


def test_items_change_in_gaps_alone_and_not_beyond_what_the_network_reads(model: PeterRec, histories) -> None:
    history, gaps = histories
    filled = GapFiller(model).fill(history, gaps, SEEDS).numpy()
    assert (filled[~gaps] == history[~gaps]).all()
    assert (filled[:, : WIDTH - READ] == history[:, : WIDTH - READ]).all()
    read = gaps & (np.arange(WIDTH) >= WIDTH - READ)
    assert (filled[read] >= FIRST_ITEM_ID).all()
    assert (filled[read] != history[read]).mean() > 0.5


def test_a_row_depends_on_itself_and_its_seed_alone(model: PeterRec, histories) -> None:
    history, gaps = histories
    filler = GapFiller(model, temperature=0.8, top_p=0.9)
    filled = filler.fill(history, gaps, SEEDS).numpy()
    wider = np.pad(history[4:6], [[0, 0], [3, 0]]), np.pad(gaps[4:6], [[0, 0], [3, 0]])
    np.testing.assert_array_equal(filler.fill(*wider, SEEDS[4:6]).numpy()[:, 3:], filled[4:6])
    assert (filler.fill(history, gaps, SEEDS + 100).numpy() != filled).any()


def test_no_item_comes_twice_where_none_shall(model: PeterRec, histories) -> None:
    history, gaps = histories
    history = np.stack([np.random.default_rng(row).permutation(40)[:WIDTH] + FIRST_ITEM_ID for row in range(16)])
    filled = GapFiller(model, no_repeats=True).fill(history.astype(np.int32), gaps, SEEDS).numpy()
    assert all(len(set(row)) == WIDTH for row in filled)


def test_the_likeliest_item_is_what_the_network_names(model: PeterRec, spec: DatasetSpec) -> None:
    history = random_histories(spec, 4, READ)
    gaps = np.zeros(history.shape, bool)
    gaps[:, -2] = history[:, -2] != PAD
    masked = np.where(gaps, 2, history)
    logits = model({"item_ids": tf.constant(masked), "positions": np.full((4, 1), READ - 2)})[:, 0].numpy()
    filled = GapFiller(model, temperature=0).fill(history, gaps, SEEDS[:4]).numpy()
    rows = gaps.any(axis=1)
    assert rows.any()
    np.testing.assert_array_equal(filled[rows, -2], logits.argmax(axis=1)[rows] + FIRST_ITEM_ID)


def test_what_reads_both_sides_fills_gaps(spec: DatasetSpec) -> None:
    assert new_model(Bert4Rec, {"dim": 8, "max_length": 8}, spec).fills_gaps
    for causal in (new_model(PeterRec, {"dim": 8}, spec), new_model(SASRec, {"dim": 8, "max_length": 8}, spec)):
        with pytest.raises(ConfigError, match=r"fills no gaps.*network\.causal=false"):
            GapFiller(causal)

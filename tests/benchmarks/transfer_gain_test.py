from pathlib import Path

import numpy as np
import pytest

from tests.training.finetune_test import domains  # noqa: F401
from tfrec_zoo.benchmarks.transfer_gain import METHODS, paired_ratio, run


@pytest.mark.slow
def test_a_row_for_every_task_and_method(domains: Path) -> None:  # noqa: F811
    rows = run(domains / "DATA", seeds=(0,), rates=(4e-3,), epochs=1, pretraining_epochs=1)
    methods = [*METHODS, "popularity"]
    assert [(row["task"], row["method"]) for row in rows] == [
        (task, method) for task in ("next_item", "segment") for method in methods
    ]
    for row in rows:
        assert 0 <= row["ndcg@10 / accuracy"] <= 1
        assert bool(row["/ all"]) is (row["method"] not in ("fine-tune all", "popularity"))


def test_the_ratio_is_paired() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300) ** 8
    ratio, low, high = paired_ratio(1.1 * base, base)
    assert ratio == pytest.approx(low) == pytest.approx(high) == pytest.approx(1.1)
    ratio, low, high = paired_ratio(base, rng.permutation(base))
    assert ratio == pytest.approx(1.0)
    assert low < 0.95
    assert high > 1.05

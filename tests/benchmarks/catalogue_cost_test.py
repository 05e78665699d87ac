import pytest

from tfrec_zoo.benchmarks.catalogue_cost import SIZES, Case, _in_a_process, cases, run
from tfrec_zoo.errors import ConfigError


def test_a_row_says_what_a_step_costs() -> None:
    training = {"ema_momentum": 0.99}
    row = _in_a_process(Case("sasrec", items=500, batch_size=4, negatives=8, training=training), steps=2)
    assert row["positions"] == 4 * 50
    assert row["ms_per_step"] > 0
    assert 0 < row["added_mib"] < row["peak_rss_mib"]


@pytest.mark.slow
def test_a_step_with_the_chunked_softmax_needs_a_fifth_of_the_memory() -> None:
    """Of what the full one adds to model and optimizer: the gradient of the table, and little else."""
    full, chunked = (
        _in_a_process(Case(loss=loss, items=1_000_000, batch_size=64, masks=8), steps=1)
        for loss in ("softmax", "chunked_softmax")
    )
    assert chunked["added_mib"] <= full["added_mib"] / 5


def test_the_rows_hold_every_size_with_dense_adam_beside_the_lazy_one() -> None:
    every = cases(SIZES)
    for optimizer in ("adam", "lazy_adam", "row_wise_adagrad"):
        assert {case.items for case in every if case.optimizer == optimizer} == set(SIZES)


def test_a_dataset_is_refused() -> None:
    with pytest.raises(ConfigError, match="'catalogue' makes up its own histories"):
        run("DATA")

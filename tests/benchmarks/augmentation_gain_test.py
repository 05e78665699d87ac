import numpy as np
import pytest

from tests.augmentation.conftest import clicks  # noqa: F401
from tfrec_zoo.benchmarks.augmentation_gain import ARMS, METRICS, PREDICTORS, Budget, run
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError


@pytest.mark.slow
def test_a_row_for_every_predictor_and_arm(clicks: DatasetSpec) -> None:  # noqa: F811
    rows = run(clicks.directory, seeds=(0, 1), budget=Budget(10, 50))
    assert [(row["model"], row["trained on"]) for row in rows] == [(model, arm) for model in PREDICTORS for arm in ARMS]
    sizes = {row["trained on"]: row["train rows"] for row in rows}
    assert sizes["both"] == sizes["real"] + sizes["fake"]
    for row in rows:
        assert bool(row["auc - real"]) is (row["trained on"] != "real")
        if row["by seed"]:
            mean = np.mean([float(difference) for difference in row["by seed"].split()])
            assert float(row["auc - real"].split()[0]) == pytest.approx(mean, abs=2e-4)
        for metric in METRICS:
            mean, spread = map(float, row[metric].split(" ± "))
            assert spread >= 0
            assert mean >= 0


def test_a_missing_view_is_named(spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="no view interactions.*--negatives 1"):
        run(spec.directory)

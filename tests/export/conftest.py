"""One model of each kind on the log with labels and features, exported: shared by the tests of this folder."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.export.session import Session
from tests.models.feature_models_test import SMALL, TOWERS
from tests.models.model_contract import new_model
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.registry import get_model

CONFIGS: dict[str, dict[str, Any]] = {
    "dssm": TOWERS,
    "inttower": {**TOWERS, "heads": 2, "item_heads": 3, "head_dim": 4},
    "ncf": {**SMALL, "units": (8, 4)},
    "din": {**SMALL, "units": (16,), "attention_units": (6,)},
    "deepfm": TOWERS,
}
"""The models of features, small."""

USER = {
    "user": "u5",
    "gender": "m",
    "age": 30.0,
    "user_count": 7,
    "user_mean_label": 0.5,
    "history": ["", "i01", "i02"],
}
"""Raw features of a user whom the log knows."""


class Exported(NamedTuple):
    """A model, its SavedModel as version 1 in a folder of its name, and a Session on that."""

    model: FeatureRecommender
    servable: Servable
    path: Path
    ask: Session


@pytest.fixture(scope="session")
def exported(rated: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """Every model of features, its weights moved from where the initialisers put them; statistics of batches too."""
    folder, exports, rng = tmp_path_factory.mktemp("exported"), {}, np.random.default_rng(0)
    for name, config in CONFIGS.items():
        model = new_model(get_model(name), config, rated)
        for weight in model.weights:
            weight.assign(weight + rng.uniform(0, 0.2, weight.shape))
        servable = Servable(model, ItemCatalogue.of_dataset(rated), max_k=50)
        path = folder / name / "1"
        path.parent.mkdir()
        servable.save(str(path))
        exports[name] = Exported(model, servable, path, Session(path))
    return exports

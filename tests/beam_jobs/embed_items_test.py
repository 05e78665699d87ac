"""The item tower over a catalogue: a real export, a real pipeline, the vectors of the live model."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.embed_items import embed_items
from beam_jobs.embed_options import EmbedOptions
from tests.models.feature_models_test import TOWERS
from tests.models.model_contract import new_model
from tests.rated_log import prepare_rated
from tfrec_zoo import cli
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.catalogue_matching import item_inputs
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.dssm import DSSM
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.ncf import NCF


def export(model: FeatureRecommender, spec: DatasetSpec, path: Path) -> Path:
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=5).save(str(path))
    return path


@pytest.fixture(scope="module")
def model(rated: DatasetSpec) -> FeatureRecommender:
    return new_model(DSSM, TOWERS, rated)


@pytest.fixture(scope="module")
def version(model: FeatureRecommender, rated: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(model, rated, tmp_path_factory.mktemp("exported") / "1")


def read(folder: Path) -> tuple[list[str], np.ndarray]:
    files = json.loads((folder / "vectors.json").read_text())["files"]
    records = tf.data.TFRecordDataset([str(folder / file) for file in files])
    features = [tf.train.Example.FromString(each.numpy()).features.feature for each in records]
    return [each["raw_id"].bytes_list.value[0].decode() for each in features], np.array(
        [each["vector"].float_list.value for each in features]
    )


@pytest.mark.parametrize("batch_size", [7, 1024])
def test_vectors_are_those_of_the_live_model(
    model: FeatureRecommender, version: Path, rated: DatasetSpec, tmp_path: Path, batch_size: int
) -> None:
    options = EmbedOptions(
        saved_model=str(version), data=str(rated.directory), output=str(tmp_path / "VECTORS"), batch_size=batch_size
    )
    result = embed_items(options)
    ids, vectors = read(tmp_path / "VECTORS")
    assert ids == rated.vocabulary("item")
    live = model.encode_items({name: tf.constant(value) for name, value in item_inputs(model, rated).items()})
    np.testing.assert_allclose(vectors, live, rtol=1e-4, atol=1e-5)
    assert (result["items"], result["dim"], result["shards"]) == (rated.catalog_size, vectors.shape[1], 1)
    assert sorted(path.name for path in (tmp_path / "VECTORS").iterdir()) == [
        "vectors-00000-of-00001.tfrecord",
        "vectors.json",
    ]
    with pytest.raises(DataError, match="holds vectors already"):
        embed_items(options)


def test_other_models_and_datasets_are_refused_in_one_line(
    version: Path, rated: DatasetSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(saved_model: Path, data: Path) -> str:
        flags = ["--saved-model", str(saved_model), "--data", str(data), "--output", str(tmp_path / "VECTORS")]
        assert cli.main(["embed-items", *flags]) == 1
        assert not (tmp_path / "VECTORS" / "vectors.json").exists()
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "is no version of an exported model" in refused(version.parent, rated.directory)
    ncf = export(new_model(NCF, {"dim": 4}, rated), rated, tmp_path / "ncf" / "1")
    assert "has no signature encode_items" in refused(ncf, rated.directory)
    (tmp_path / "bare").mkdir()
    bare = prepare_rated(tmp_path / "bare", items=None, numeric=("age",), multi={})
    assert re.search("items have no feature 'genres', which .* reads", refused(version, bare.directory))

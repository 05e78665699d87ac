import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, FORMAT_VERSION, DatasetSpec
from tfrec_zoo.errors import DataError


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data, tmp_path / "DATA"))


def edit(directory: Path, **changes: object) -> None:
    path = directory / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_written_spec_reads_back_equal(spec: DatasetSpec, copy: Path) -> None:
    assert DatasetSpec.read(copy) == spec
    spec.write(copy)
    assert DatasetSpec.read(copy) == spec


def test_ids_are_lines_of_the_vocabulary_by_falling_frequency(spec: DatasetSpec) -> None:
    assert len(spec.vocabulary("item")) == spec.catalog_size
    assert list(spec.item_counts) == sorted(spec.item_counts, reverse=True)
    assert FIRST_ITEM_ID == 4


def test_a_folder_without_dataset_json_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dataset\.json.*tfrec prepare"):
        DatasetSpec.read(tmp_path)


def test_another_format_version_is_refused(copy: Path) -> None:
    edit(copy, format_version=99)
    with pytest.raises(DataError, match=f"format version 99, this tfrec-zoo reads {FORMAT_VERSION}"):
        DatasetSpec.read(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 2}', '{"format_version": 2, "features": 3}'])
def test_a_damaged_dataset_json_is_one_clear_error(copy: Path, text: str) -> None:
    (copy / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        DatasetSpec.read(copy)


def test_a_missing_or_shorter_shard_is_named(copy: Path, spec: DatasetSpec) -> None:
    shard = copy / spec.files[0].path
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{shard.name} has .* bytes, dataset.json says"):
        DatasetSpec.read(copy)
    shard.unlink()
    with pytest.raises(DataError, match=f"{shard.name} is missing"):
        DatasetSpec.read(copy)


def test_a_view_that_is_not_there_is_named(spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="holds no interactions/train"):
        spec.paths("interactions", "train")


def test_the_page_names_every_field_and_every_feature_of_a_sequence(spec: DatasetSpec) -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))))
    fields = {field.name for field in dataclasses.fields(spec)} - {"directory"}
    assert fields <= named
    assert set(spec.features["sequences"]) <= named
    for field in dataclasses.fields(type(spec.files[0])):
        assert f"`{field.name}`" in page

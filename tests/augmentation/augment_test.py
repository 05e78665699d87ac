"""A dataset of fake histories: whole, real where it has to be, marked, the same again, and refused where it must be."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.inspect import inspect
from tests.augmentation.conftest import PETERREC, SEQGAN, trained
from tests.conftest import ITEMS
from tfrec_zoo.augmentation.augment import augment
from tfrec_zoo.augmentation.fake_histories import AugmentationOptions
from tfrec_zoo.cli import main
from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import GENERATED_USER, DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.train import train


def rows(spec: DatasetSpec, view: str, split: str = "train", generated: bool | None = None) -> list[dict[str, Any]]:
    """Records as dicts of lists; of generated users, of real ones, or of all."""
    found = []
    for serialized in records.read(spec.paths(view, split)).as_numpy_iterator():
        features = tf.train.Example.FromString(serialized).features.feature
        row = {name: list(getattr(value, value.WhichOneof("kind")).value) for name, value in features.items()}
        if generated in (None, row.get("user", [b""])[0].startswith(GENERATED_USER.encode())):
            found.append(row)
    return found


def real_user(row: dict[str, Any]) -> bytes:
    return row["user"][0].split(b":", 2)[2]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def both(generator: Path, filler: Path, clicks: DatasetSpec, tmp_path_factory) -> tuple[DatasetSpec, dict]:
    output = tmp_path_factory.mktemp("augmented") / "BOTH"
    options = AugmentationOptions(share=2.5, no_repeats=True, seed=3)
    result = augment(generator, clicks.directory, output, gaps=filler, keep_real=True, options=options, quiet=True)
    return DatasetSpec.read(output), result


def test_it_verifies_and_says_what_is_generated(both: tuple[DatasetSpec, dict], clicks: DatasetSpec, capsys) -> None:
    spec, result = both
    found = inspect(spec.directory, verify=True)
    assert found["verify"]["first_faults"] == []
    assert spec.generated.model == "seqgan"
    assert spec.generated.real
    assert dict(spec.generated.records) == {"sequences": result["histories"], "interactions": result["rows"]}
    assert spec.generated.options["share"] == 2.5
    assert main(["inspect", str(spec.directory)]) == 0
    assert "train records written by seqgan: " in capsys.readouterr().out
    assert inspect(clicks.directory)["generated"] is None


def test_every_generated_record_is_marked_and_the_rest_is_as_it_was(both, clicks: DatasetSpec) -> None:
    spec, result = both
    assert spec.catalog_size == clicks.catalog_size
    assert spec.split == clicks.split
    mine, theirs = tree(spec.directory), tree(clicks.directory)
    for file in clicks.files:
        assert mine[file.path] == theirs[file.path]
    for view in ("sequences", "interactions"):
        assert rows(spec, view, generated=False) == rows(clicks, view)
        fakes = rows(spec, view, generated=True)
        assert (
            len(fakes)
            == spec.generated.records[view]
            == sum(file.records for file in spec.files if file.path.startswith(f"{view}/generated-"))
        )
    assert 2.2 * clicks.records("sequences", "train") < result["histories"] < 2.8 * clicks.records("sequences", "train")


def test_fake_histories_begin_as_real_ones_and_are_as_long(both, clicks: DatasetSpec) -> None:
    real = {row["user"][0]: row for row in rows(clicks, "sequences")}
    changed = kept = 0
    for row in rows(both[0], "sequences", generated=True):
        own = real[real_user(row)]
        assert len(row["items"]) == len(own["items"]) == len(set(row["items"]))
        assert row["times"] == own["times"]
        assert row["train_only"] == [1]
        half = len(own["items"]) // 2
        changed += sum(one != other for one, other in zip(row["items"][:half], own["items"], strict=False))
        kept += half
    assert 0.1 < changed / kept < 0.4, "a share of 0.3 is drawn anew"


def test_rows_splice_the_items_features_and_the_users(both, clicks: DatasetSpec) -> None:
    spec, _ = both
    items = {row["id"][0]: row for row in rows(clicks, "items", "all")}
    users = {row["user"][0]: row for row in rows(clicks, "interactions")}
    histories = {row["user"][0]: row for row in rows(spec, "sequences", generated=True)}
    fakes = rows(spec, "interactions", generated=True)
    for row in fakes:
        user, item, fake = users[real_user(row)], items[row["item"][0]], histories[row["user"][0]]
        for name in ("gender", "age", "user_id"):
            assert row.get(name) == user.get(name)
        for name in ("genres", "year", "item_count"):
            assert row.get(name) == item.get(name)
        assert row["user_count"] == [user["user_count"][0] + 1]
        if row["label"] == [1]:
            place = fake["items"].index(row["item"][0])
            assert row["history"] == fake["items"][max(0, place - 5) : place]
            assert row["time"] == [fake["times"][place]]
        else:
            assert row["item"][0] not in fake["items"]
    assert sum(row["label"][0] for row in fakes) * 3 == len(fakes)
    assert {name for row in fakes for name in row} == set(spec.features["interactions"])


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(generator, filler, clicks, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        options = AugmentationOptions(seed=seed, temperature=0.9, top_p=0.95, length=4)
        augment(generator, clicks.directory, tmp_path / name, gaps=filler, options=options, quiet=True)
    assert tree(tmp_path / "one") == tree(tmp_path / "again")
    assert tree(tmp_path / "one").keys() != tree(tmp_path / "other").keys()
    assert all(len(row["items"]) >= 4 for row in rows(DatasetSpec.read(tmp_path / "one"), "sequences"))


def test_models_train_on_fakes_alone_and_are_evaluated_on_the_real(generator, clicks: DatasetSpec, tmp_path) -> None:
    augment(generator, clicks.directory, tmp_path / "FAKE", quiet=True)
    spec = DatasetSpec.read(tmp_path / "FAKE")
    assert not rows(spec, "sequences", generated=False)
    assert not rows(spec, "interactions", generated=False)
    assert inspect(spec.directory, verify=True)["verify"]["first_faults"] == []
    short = {"training": {"epochs": 1, "batch_size": 16}}
    for model, network in (("ncf", {"dim": 4, "units": [8]}), ("peterrec", PETERREC["network"])):
        result = train(model, spec.directory, tmp_path / model, config={**short, "network": network}, quiet=True)
        assert 0 <= result["best_value"] <= 1
        RunDirectory.open(tmp_path / model).load_model(clicks)


def test_labels_by_a_rule_are_drawn_and_gzip_stays(ratings: DatasetSpec, tmp_path: Path, tmp_path_factory) -> None:
    run = trained("seqgan", ratings, tmp_path_factory, SEQGAN)
    options = AugmentationOptions(share=3)
    for name, keep_real in (("FAKE", False), ("BOTH", True)):
        augment(run, ratings.directory, tmp_path / name, keep_real=keep_real, options=options, quiet=True)
        assert inspect(tmp_path / name, verify=True)["verify"]["first_faults"] == []
    spec = DatasetSpec.read(tmp_path / "BOTH")
    assert all(file.path.endswith(".gz") for file in spec.files if file.view != "vocab")
    assert spec.records("sequences", "train+valid") > ratings.records("sequences", "train+valid"), "a refit reads them"
    fakes, real = (rows(spec, "interactions", generated=generated) for generated in (True, False))
    labels = np.array([row["label"][0] for row in fakes])
    assert abs(labels.mean() - np.mean([row["label"][0] for row in real])) < 0.1
    means = np.array([row["item_mean_label"][0] + row["user_mean_label"][0] for row in fakes])
    assert means[labels == 1].mean() > means[labels == 0].mean() + 0.05
    assert all(row["rating"] == [0.0] for row in fakes)


def test_a_collapsed_generator_is_told(generator, clicks: DatasetSpec, tmp_path: Path, capsys) -> None:
    broken = tmp_path / "RUN"
    shutil.copytree(generator, broken)
    model = RunDirectory.open(broken).load_model(clicks)
    model.generator.projection.bias.assign(100.0 * np.eye(ITEMS)[7][: model.catalog_size])
    RunDirectory.open(broken).save_model(model)
    result = augment(broken, clicks.directory, tmp_path / "OUT")
    assert "the generator has collapsed: " in result["warnings"][0]
    assert "warning: the generator has collapsed" in capsys.readouterr().err


def without(spec: DatasetSpec, view: str, folder: Path) -> Path:
    shutil.copytree(spec.directory, folder)
    kept = {name: features for name, features in spec.features.items() if name != view}
    files = tuple(file for file in spec.files if file.view != view)
    dataclasses.replace(spec, features=kept, files=files).write(folder)
    return folder


def test_what_cannot_be_is_refused(generator, filler, clicks, ratings, tmp_path: Path) -> None:
    data, output = clicks.directory, tmp_path / "OUT"
    (tmp_path / "there").mkdir()
    foreign, resplit = (without(clicks, "transfer", tmp_path / name) for name in ("foreign", "resplit"))
    dataclasses.replace(clicks, split=dataclasses.replace(clicks.split, hash="other")).write(resplit)
    vocabulary = foreign / "vocab/item.txt"
    vocabulary.write_text("\n".join(reversed(vocabulary.read_text().split("\n")[:-1])) + "\n")
    listed = json.loads((foreign / "dataset.json").read_text())
    for file in listed["files"]:
        if file["path"] == "vocab/item.txt":
            file["digest"] = hashlib.blake2b(vocabulary.read_bytes(), digest_size=16).hexdigest()
    (foreign / "dataset.json").write_text(json.dumps(listed))
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (DataError, "trained on another catalogue", {"data": foreign}),
        (DataError, "trained on another catalogue", {"data": ratings.directory}),
        (DataError, r"trained on another split .* than .* holds \(other\)", {"data": resplit}),
        (ConfigError, "a peterrec generates no histories: .*tfrec train seqgan", {"run": filler}),
        (ConfigError, "a seqgan that reads what is older alone fills no gaps", {"gaps": generator}),
        (ConfigError, "is not a run", {"run": tmp_path}),
        (DataError, "is the dataset itself", {"output": data}),
        (DataError, "there exists: choose another", {"output": tmp_path / "there"}),
        (DataError, "cannot be written", {"output": data / "dataset.json/OUT"}),
        (DataError, "no view sequences.*--views sequences,", {"data": without(clicks, "sequences", tmp_path / "a")}),
        (DataError, "not the view items.*--views .*items", {"data": without(clicks, "items", tmp_path / "b")}),
        (DataError, "no fake history came of", {"options": AugmentationOptions(share=1e-9)}),
    ]
    before = set(os.listdir(tmp_path))
    for kind, message, changed in cases:
        arguments = {"run": generator, "data": data, "output": output, **changed}
        with pytest.raises(kind, match=message):
            augment(**arguments, quiet=True)
    assert set(os.listdir(tmp_path)) == before, "nothing half-made stays"


def test_generated_data_is_not_augmented_again(both, generator, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is generated itself \(by seqgan\)"):
        augment(generator, both[0].directory, tmp_path / "OUT", quiet=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 0}, "share is 0; .* up to 32"),
        ({"share": 33}, "share is 33; .* up to 32"),
        ({"prefix": 1}, "prefix is 1"),
        ({"length": 0}, "length is 0; .*from 1 to 1000"),
        ({"length": 1001}, "length is 1001; .*from 1 to 1000"),
        ({"gap_share": 0}, "gap_share is 0"),
        ({"temperature": -1}, "a temperature is 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentationOptions(**wrong)


def test_the_command_prints_figures_and_writes_json(generator, clicks: DatasetSpec, tmp_path: Path, capsys) -> None:
    arguments = ["--run", generator, "--data", clicks.directory, "--output", tmp_path / "OUT", "--quiet"]
    assert main(["augment", *map(str, arguments), "--json", str(tmp_path / "figures.json")]) == 0
    assert "fake histories" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["rows"] == 3 * figures["made_items"] > 0
    assert main(["augment", *map(str, arguments)]) == 1
    assert capsys.readouterr().err.startswith("tfrec: error: --output")

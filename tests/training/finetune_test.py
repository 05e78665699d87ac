"""Fine-tuning on two synthetic domains, through real Beam runs."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import beam_jobs
from tests.models.peterrec_test import CONFIG
from tfrec_zoo.cli import main
from tfrec_zoo.data.synthetic_domains import synthesize_domains
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TrainingError
from tfrec_zoo.evaluation.task_report import evaluate_task_run
from tfrec_zoo.patches.injection import backbone_hash
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.runs.task_folder import TaskFolder
from tfrec_zoo.runs.task_run import TaskRun
from tfrec_zoo.training.finetune import finetune
from tfrec_zoo.training.train import train

FEW = {"training": {"epochs": 2, "batch_size": 32}}


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA with the views of both tasks, and RUN, a pre-trained model."""
    folder = tmp_path_factory.mktemp("domains")
    synthesize_domains(folder / "log.csv", users=150, items=60, min_length=6, max_length=15, target_share=0.8)
    options = beam_jobs.PrepareOptions(
        input=(str(folder / "log.csv"),),
        target_input=(str(folder / "log-target.csv"),),
        users=str(folder / "log-users.csv"),
        output=str(folder / "DATA"),
        views=("sequences", "transfer", "profiles"),
        profile_labels=("segment",),
        valid_share=0.2,
        test_share=0.2,
        drop_repeats=True,
        partitions=2,
        quiet=True,
    )
    beam_jobs.prepare(options)
    small = {"network": {**CONFIG, "exclude_known": False}, "training": {"epochs": 2, "validate_every": 2}}
    train("peterrec", folder / "DATA", folder / "RUN", config=small, quiet=True)
    return folder


@pytest.fixture(scope="module")
def tuned(domains: Path) -> Path:
    """The domains' folder with two fine-tuned tasks."""
    for task, run in (("next_item", "ITEMS"), ("profile:segment", "SEGMENT")):
        finetune("peterrec", domains / "RUN", domains / "DATA", domains / run, task=task, config=FEW, quiet=True)
    return domains


@pytest.mark.parametrize(
    ("mode", "settings", "changes"),
    [
        ("patches", {"train_layer_norm": True, "loss": "bpr", "pretraining_weight": 0.1}, False),
        ("head", {}, False),
        ("all", {"pretraining_weight": 0.1}, True),
    ],
)
def test_the_backbone_keeps_every_byte_unless_everything_is_trained(
    domains: Path, tmp_path: Path, mode: str, settings: dict, changes: bool
) -> None:
    config = {**FEW, "task": settings}
    result = finetune(
        "peterrec", domains / "RUN", domains / "DATA", tmp_path / "R", mode=mode, config=config, quiet=True
    )
    base = RunDirectory.open(domains / "RUN").load_model(DatasetSpec.read(domains / "DATA"))
    assert result["backbone_hash"] == backbone_hash(base.backbone)
    assert (result["backbone_hash_after"] != result["backbone_hash"]) is changes
    assert (result["trainable_parameters"] > base.backbone.count_params()) is changes
    assert (tmp_path / "R" / "task").exists() is not changes
    assert np.isfinite(result["best_value"])


def test_a_task_folder_answers_as_the_run_does_and_fits_its_backbone_alone(tuned: Path) -> None:
    spec = DatasetSpec.read(tuned / "DATA")
    base = RunDirectory.open(tuned / "RUN").load_model(spec)
    folder = TaskFolder(tuned / "ITEMS" / "task")
    task = folder.attach(base)
    live = TaskRun.open(tuned / "ITEMS").load_task(spec)
    history = np.random.default_rng(0).integers(4, 4 + spec.catalog_size, (5, 9)).astype(np.int32)
    np.testing.assert_array_equal(task.score(history), live.score(history))
    assert folder.targets() == spec.vocabulary("target_item")
    kernel = base.backbone.weights[0]
    kernel.assign(kernel + 1e-3)
    with pytest.raises(ConfigError, match="fits the backbone .* and no other"):
        folder.attach(base)


def test_a_user_without_history_is_scored_and_short_ones_too(tuned: Path) -> None:
    spec = DatasetSpec.read(tuned / "DATA")
    base = RunDirectory.open(tuned / "RUN").load_model(spec)
    task = TaskFolder(tuned / "SEGMENT" / "task").attach(base)
    history = np.array([[0, 0, 0], [0, 0, 5], [0, 0, 0]], np.int32)
    scores = task.score(history).numpy()
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[0], scores[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(task.score(np.zeros((1, 0), np.int32))[0], scores[0], rtol=1e-5, atol=1e-6)


def test_evaluation_of_both_kinds(tuned: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    for run, metrics, baseline in (
        ("ITEMS", {"ndcg@10", "hr@10", "mrr"}, "popularity"),
        ("SEGMENT", {"accuracy", "auc", "logloss"}, "majority"),
    ):
        command = ["evaluate", "--workdir", str(tuned / run), "--data", str(tuned / "DATA"), "--json", str(output)]
        assert main(command) == 0
        assert baseline in capsys.readouterr().out
        report = json.loads(output.read_text())
        assert metrics <= set(report["metrics"])
        assert set(report["baselines"]) == {baseline}
        assert {"users", "items", "protocol", "seconds"} <= set(report)
    assert main(["evaluate", "--workdir", str(tuned / "ITEMS"), "--data", str(tuned / "DATA"), "--groups"]) == 1
    assert "--groups: a fine-tuned task is evaluated without" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_task(tuned: Path, tmp_path: Path) -> None:
    again = finetune("peterrec", tuned / "RUN", tuned / "DATA", tmp_path / "R", config=FEW, quiet=True)
    assert again["best_value"] == json.loads((tuned / "ITEMS" / "train.json").read_text())["best_value"]
    one, two = (np.load(folder / "task" / "weights.npz") for folder in (tuned / "ITEMS", tmp_path / "R"))
    assert all((one[name] == two[name]).all() for name in one.files)


def test_finetune_is_a_command(tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["finetune", "peterrec", "--from", str(tuned / "RUN"), "--data", str(tuned / "DATA")]
    settings = ["--mode", "head", "--set", "training.epochs=1", "--workdir", str(tmp_path / "R"), "--name", "shop"]
    assert main([*command, *settings]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("shop on peterrec (head)")
    assert "unchanged" in captured.out
    assert "epoch 1" in captured.err
    assert main([*command, *settings]) == 1
    assert "holds a run" in capsys.readouterr().err


def test_what_does_not_fit_is_one_clear_error(tuned: Path, data: Path, tmp_path: Path) -> None:
    run, domains = tuned / "RUN", tuned / "DATA"

    def attempt(source: Path = run, where: Path = domains, **options: object) -> None:
        finetune("peterrec", source, where, tmp_path / "R", quiet=True, **options)

    with pytest.raises(DataError, match="has no view transfer .* --target-input"):
        attempt(where=data)
    with pytest.raises(DataError, match="no label 'gender'; they have segment"):
        attempt(task="profile:gender")
    with pytest.raises(ConfigError, match="fine-tuned run; --from takes the pre-trained one"):
        attempt(source=tuned / "ITEMS")
    with pytest.raises(ConfigError, match="profile, and no other, needs a label"):
        attempt(task="profile")
    with pytest.raises(ConfigError, match=r"`task.kind`"):
        attempt(task="clicks")
    with pytest.raises(ConfigError, match="unknown configuration key `task.width`"):
        attempt(assignments=["task.width=3"])
    with pytest.raises(ConfigError, match="a task is named by"):
        attempt(name="encode")
    with pytest.raises(ConfigError, match="holds a peterrec, not a sasrec"):
        finetune("sasrec", run, domains, tmp_path / "R", quiet=True)
    assert not (tmp_path / "R").exists()

    # Another source vocabulary, as of a job that ran on a longer log.
    other = tmp_path / "SOURCE"
    shutil.copytree(domains, other)
    exchange_two_names(other, "vocab/item.txt")
    with pytest.raises(DataError, match="trained on another catalogue"):
        attempt(where=other)
    other = tmp_path / "TARGET"
    shutil.copytree(domains, other)
    exchange_two_names(other, "vocab/target_item.txt")
    with pytest.raises(DataError, match="another vocabulary of target_item"):
        evaluate_task_run(tuned / "ITEMS", other)


def exchange_two_names(dataset: Path, path: str) -> None:
    """Makes a vocabulary another one, which dataset.json lists as its own."""
    vocabulary = dataset / path
    lines = vocabulary.read_text().splitlines()
    vocabulary.write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n")
    manifest = json.loads((dataset / "dataset.json").read_text())
    listed = next(file for file in manifest["files"] if file["path"] == path)
    listed["digest"] = hashlib.blake2b(vocabulary.read_bytes(), digest_size=16).hexdigest()
    (dataset / "dataset.json").write_text(json.dumps(manifest))


def test_a_loss_that_is_not_finite_stops_the_run(tuned: Path, tmp_path: Path) -> None:
    config = {"training": {"epochs": 3, "batch_size": 32, "learning_rate": 1e30}}
    with pytest.raises(TrainingError, match="Lower training.learning_rate"):
        finetune("peterrec", tuned / "RUN", tuned / "DATA", tmp_path / "R", config=config, quiet=True)


def test_a_damaged_task_folder_says_so(tuned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(tuned / "SEGMENT" / "task", folder)
    (folder / "targets.txt").write_text("s0\n")
    with pytest.raises(ConfigError, match="damaged: 1 targets"):
        TaskFolder(folder)
    (folder / "weights.npz").write_bytes(b"PK no archive")
    with pytest.raises(ConfigError, match="damaged"):
        TaskFolder(folder)
    content = yaml.safe_load((folder / "task.yaml").read_text())
    (folder / "task.yaml").write_text(yaml.safe_dump({**content, "colour": "red"}))
    with pytest.raises(ConfigError, match="unknown configuration key `colour`"):
        TaskFolder(folder)
    with pytest.raises(ConfigError, match="is not a task"):
        TaskFolder(tmp_path)

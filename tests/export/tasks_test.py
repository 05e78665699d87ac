"""Tasks that were fine-tuned on one backbone, in one SavedModel."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.export.session import Session
from tests.training.finetune_test import FEW, domains, tuned  # noqa: F401
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ConfigError, ExportError
from tfrec_zoo.export.export_run import export_run
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.runs.task_run import TaskRun
from tfrec_zoo.training.finetune import finetune


@pytest.fixture(scope="module")
def exported(tuned: Path) -> Path:  # noqa: F811
    """One version with three tasks; the gate has run every signature in a TF1 Session."""
    config = {**FEW, "task": {"patch": "parallel", "train_layer_norm": True}}
    finetune("peterrec", tuned / "RUN", tuned / "DATA", tuned / "MORE", name="more", config=config, quiet=True)
    tasks = [tuned / "ITEMS", tuned / "SEGMENT" / "task", tuned / "MORE"]
    result = export_run(tuned / "RUN", tuned / "DATA", tuned / "model", max_k=10, tasks=tasks, over_grpc=False)
    assert {"next_item", "segment", "more", "recommend", "recommend_diverse"} <= set(result["signatures"])
    return Path(result["path"])


def test_the_backbone_is_stored_once(exported: Path, tuned: Path) -> None:  # noqa: F811
    spec = DatasetSpec.read(tuned / "DATA")
    model = RunDirectory.open(tuned / "RUN").load_model(spec)
    reader = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    shapes = [tuple(shape) for name, shape in reader.get_variable_to_shape_map().items() if name.endswith("_VALUE")]
    table = (FIRST_ITEM_ID + spec.catalog_size, model.config.dim)
    assert shapes.count(table) == 1
    stored = sum(4 * int(np.prod(shape)) for shape in shapes)
    folders = sum((tuned / run / "task" / "weights.npz").stat().st_size for run in ("ITEMS", "SEGMENT", "MORE"))
    assert stored <= 1.05 * (4 * (model.count_params() + spec.catalog_size + 1) + folders)


def test_every_task_answers_in_a_session_as_the_live_one(exported: Path, tuned: Path) -> None:  # noqa: F811
    spec = DatasetSpec.read(tuned / "DATA")
    items, session = spec.vocabulary("item"), Session(exported)
    rng = np.random.default_rng(0)
    ids = rng.integers(FIRST_ITEM_ID, FIRST_ITEM_ID + len(items), (4, 6)).astype(np.int32)
    history = [[items[item - FIRST_ITEM_ID] for item in row] for row in ids]
    for run, name in (("ITEMS", "next_item"), ("MORE", "more")):
        scores = TaskRun.open(tuned / run).load_task(spec).score(ids).numpy()
        targets = spec.vocabulary("target_item")
        first = [targets[column] for column in scores.argmax(axis=1)]
        answer = session(name, history=history, exclude=[[""]] * 4)
        assert [row[0] for row in answer["item_ids"]] == first
        np.testing.assert_allclose(answer["scores"], -np.sort(-scores)[:, :10], rtol=1e-4, atol=1e-5)
        without = session(name, history=history, exclude=[[item] for item in first])
        assert all(item not in row for item, row in zip(first, without["item_ids"], strict=True))
    logits = TaskRun.open(tuned / "SEGMENT").load_task(spec).score(ids)
    answer = session("segment", history=history)
    classes = spec.vocabulary("segment")
    assert [row[0] for row in answer["classes"]] == [classes[column] for column in np.argmax(logits, axis=1)]
    np.testing.assert_allclose(np.sum(answer["probabilities"], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        np.max(answer["probabilities"], axis=1), np.max(tf.nn.softmax(logits), axis=1), rtol=1e-4
    )


def test_an_unknown_user_gets_what_is_frequent(exported: Path, tuned: Path) -> None:  # noqa: F811
    session, targets = Session(exported), DatasetSpec.read(tuned / "DATA").vocabulary("target_item")
    answer = session("next_item", history=[["nothing known"], [""]], exclude=[[""], [targets[0]]])
    assert list(answer["fallback"]) == [True, True]
    assert [row[0] for row in answer["item_ids"]] == targets[:2]


def test_diverse_lists_hold_no_seen_and_no_repeated_item(exported: Path, tuned: Path) -> None:  # noqa: F811
    items, session = DatasetSpec.read(tuned / "DATA").vocabulary("item"), Session(exported)
    history = [items[3:12], items[20:29]]
    one = session("recommend_diverse", history=history, seed=[1, 2])
    padded = session("recommend_diverse", history=[["", "", *row] for row in history], seed=[1, 2])
    other = session("recommend_diverse", history=history[::-1], seed=[2, 5])
    assert one["item_ids"] == padded["item_ids"]
    assert one["item_ids"][1] == other["item_ids"][0], "a row depends on its own seed alone"
    # The run was trained for a moment and ranks almost by popularity: two seeds alone may agree.
    many = session("recommend_diverse", history=history[:1] * 20, seed=list(range(20)))["item_ids"]
    assert len({tuple(row) for row in many}) > 1, "other seeds, other lists"
    for row, seen in zip(one["item_ids"], history, strict=True):
        found = [item for item in row if item]
        assert len(found) == len(set(found)) == 10
        assert not set(found) & set(seen)
    unknown = session("recommend_diverse", history=[[""]], seed=[0])
    assert unknown["item_ids"][0] == items[:10]


def test_the_card_names_the_tasks(exported: Path) -> None:
    card = json.loads((exported / "assets.extra" / "model_card.json").read_text())
    assert set(card["tasks"]) == {"next_item", "segment", "more"}
    assert len({task["backbone_hash"] for task in card["tasks"].values()}) == 1


def test_what_cannot_be_packed_is_refused(tuned: Path, tmp_path: Path) -> None:  # noqa: F811
    def export(workdir: Path, *tasks: Path) -> None:
        export_run(workdir, tuned / "DATA", tmp_path / "out", tasks=tasks, over_grpc=False)

    with pytest.raises(ExportError, match="is a task. Export the run that it stands on"):
        export(tuned / "ITEMS")
    with pytest.raises(ExportError, match="two signatures are named 'next_item'"):
        export(tuned / "RUN", tuned / "ITEMS", tuned / "ITEMS")
    with pytest.raises(ConfigError, match="is not a task"):
        export(tuned / "RUN", tuned / "DATA")
    finetune("peterrec", tuned / "RUN", tuned / "DATA", tmp_path / "ALL", mode="all", config=FEW, quiet=True)
    with pytest.raises(ExportError, match="mode all: it changed the backbone"):
        export(tuned / "RUN", tmp_path / "ALL")
    assert not list((tmp_path / "out").glob("[0-9]*"))

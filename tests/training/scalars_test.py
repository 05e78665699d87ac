from pathlib import Path

import pytest
import tensorflow as tf

from tfrec_zoo.training.scalars import Scalars


def test_the_event_files_hold_the_curves(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path / "fit", pytest.fail)
    scalars.write(4, {"loss": 2.5, "val_ndcg@10": 0.25})
    scalars.write(8, {"loss": 2.0})
    (path,) = (tmp_path / "fit").iterdir()
    points = {
        (value.tag, event.step): (float(tf.make_ndarray(value.tensor)), value.metadata.plugin_data.plugin_name)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert points == {
        ("loss", 4): (2.5, "scalars"),
        ("val_ndcg@10", 4): (0.25, "scalars"),
        ("loss", 8): (2.0, "scalars"),
    }


def test_a_disk_that_refuses_them_is_one_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    notes: list[str] = []
    scalars = Scalars(tmp_path / "file" / "fit", notes.append)
    for step in (1, 2):
        scalars.write(step, {"loss": 1.0})
    assert len(notes) == 1
    assert "could not be written" in notes[0]
    assert "\n" not in notes[0]

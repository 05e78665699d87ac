"""What a reader may see in the output folder before, during and after a run."""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from beam_jobs import manifest, shards
from tests.beam_jobs.conftest import records, run, shard_bytes, tree
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError

OLD, NEW = "u,a,1\nu,b,2\nu,c,3\n", "u,b,1\nu,a,2\nu,d,3\nv,a,1\n"


def test_a_rerun_replaces_the_dataset_and_leaves_nothing_behind(write, tmp_path):
    output = tmp_path / "out"
    old = run(write(OLD + ",,\n"), output, max_reject_share=1)
    (output / "sequences" / "notes.txt").write_text("not ours")
    new = run(write(NEW), output)
    assert not {file.path for file in old.files if file.view == "sequences"} & {file.path for file in new.files}
    expected = {"dataset.json", "sequences/notes.txt", *(file.path for file in new.files)}
    assert set(tree(output)) == expected
    assert records(new, "train").keys() == {"u", "v"}


def test_the_same_again_changes_nothing(write, tmp_path):
    path = write(OLD)
    run(path, tmp_path / "out")
    before = tree(tmp_path / "out")
    run(path, tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_the_earlier_dataset_is_readable_until_the_last_moment(write, tmp_path, monkeypatch):
    output = tmp_path / "out"
    old = shard_bytes(run(write(OLD), output))
    seen = {}
    replace = Path.replace

    def watched(self, target):
        with contextlib.suppress(DataError):
            seen[Path(target).name] = shard_bytes(DatasetSpec.read(output)) == old
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    run(write(NEW), output)
    # Looked at before every move. The window: between the two vocabulary files and dataset.json readers refuse it.
    assert len(seen) > 6
    assert all(seen.values())
    assert "item.txt" in seen
    assert "user.txt" not in seen


@pytest.mark.parametrize("step", ["encoding", "publishing"])
def test_a_failure_leaves_the_earlier_dataset_intact(write, tmp_path, monkeypatch, caplog, step):
    output = tmp_path / "out"
    run(write(OLD), output)
    before = tree(output)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"encoding": (shards, "frame", fail), "publishing": (manifest, "_digest", fail)}[step])
    with pytest.raises((DataError, OSError), match="No space left"):
        run(write(NEW), output)
    assert tree(output) == before
    assert not caplog.records


def test_leftovers_of_a_killed_run_are_removed(write, tmp_path):
    output = tmp_path / "out"
    (output / ".prepare-killed").mkdir(parents=True)
    (output / ".prepare-killed" / "spill").write_text("x")
    (output / "sequences").mkdir()
    (output / "sequences" / "train-00000-of-00001-0123456789.tfrecord").write_text("orphan")
    spec = run(write(OLD), output)
    assert set(tree(output)) == {"dataset.json", *(file.path for file in spec.files)}


def test_two_jobs_do_not_write_to_one_folder(write, tmp_path):
    (tmp_path / "out").mkdir()
    lock = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(DataError, match="another prepare job"):
        run(write(OLD), tmp_path / "out")
    os.close(lock)


def test_a_vocabulary_of_another_run_is_noticed(write, tmp_path):
    spec = run(write(OLD), tmp_path / "out")
    spec.vocabulary_path("item").write_text("of a run that was killed while it published\n")
    with pytest.raises(DataError, match=r"vocab/item.txt has"):
        DatasetSpec.read(tmp_path / "out")


@pytest.mark.parametrize("read", [DatasetSpec.vocabulary, DatasetSpec.vocabulary_hash])
def test_a_vocabulary_of_another_run_is_noticed_even_at_the_same_size(write, tmp_path, read):
    run(write(OLD), tmp_path / "out")
    spec = DatasetSpec.read(tmp_path / "out")
    path = spec.vocabulary_path("item")
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(DataError, match="is not the file that dataset.json lists"):
        read(DatasetSpec.read(tmp_path / "out"), "item")


def imported(modules: str) -> set[str]:
    """Top-level modules that importing `modules` brings in."""
    code = f"import {modules}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_beam_jobs_never_imports_tensorflow():
    assert not imported("beam_jobs, beam_jobs.pipeline") & {"tensorflow", "keras"}


def test_describing_the_options_needs_no_beam():
    assert not imported("beam_jobs") & {"apache_beam", "pyarrow", "numpy"}

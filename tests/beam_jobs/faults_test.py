"""A full disk, and kill -9 at any moment: the earlier dataset stays whole, and a rerun cleans up."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beam_jobs.dataset_check import verify
from tests.beam_jobs.conftest import run, shard_bytes
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def logs(tmp_path) -> tuple[Path, Path]:
    """An old and a new log, of different items."""
    rng, paths = random.Random(0), []
    for name, rows in (("old", 2000), ("new", 60_000)):
        paths.append(tmp_path / f"{name}.csv")
        lines = (f"u{rng.randrange(rows // 20)},{name}{rng.randrange(500)},{rng.randrange(10**6)}" for _ in range(rows))
        paths[-1].write_text("user_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    return paths[0], paths[1]


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of 1 MiB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_costs_nothing(logs, small_disk):
    output = small_disk / "out"
    old = shard_bytes(run(logs[0], output))
    with pytest.raises(DataError, match="No space left on device") as caught:
        run(logs[1], output)
    assert "\n" not in str(caught.value)
    spec = DatasetSpec.read(output)
    assert shard_bytes(spec) == old
    assert verify(spec)["ok"]
    assert not list(output.glob(".*"))
    # With room again, the same folder takes a new dataset.
    run(logs[0], output)
    assert shard_bytes(DatasetSpec.read(output)) == old


def start(log: Path, output: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "beam_jobs.prepare", "--input", log, "--output", output, "--partitions", "40"]
    return subprocess.Popen(
        [*map(str, command), "--quiet"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def state(output: Path, old: dict[str, str], new: dict[str, str]) -> str:
    """Which dataset a reader finds; between the renames of the vocabulary and of dataset.json it is refused."""
    try:
        spec = DatasetSpec.read(output)
    except DataError:
        return "refused"
    assert verify(spec)["first_faults"] == []
    found = shard_bytes(spec)
    assert found in (old, new)
    return "old" if found == old else "new"


@pytest.mark.slow
def test_kill_9_at_random_moments(logs, tmp_path):
    output, clean = tmp_path / "out", tmp_path / "clean"
    old = shard_bytes(run(logs[0], output))
    began = time.monotonic()
    assert start(logs[1], clean).wait(900) == 0
    seconds, new = time.monotonic() - began, shard_bytes(DatasetSpec.read(clean))
    rng, killed = random.Random(0), 0
    while killed < 8:
        child = start(logs[1], output)
        if killed:
            # Most moments lie in the last two thirds, after the imports.
            time.sleep(seconds * rng.uniform(0.3, 1.0))
        else:
            while child.poll() is None and not list(output.glob(".prepare-*")):
                time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        if child.wait(60) == -signal.SIGKILL:
            killed += 1
            assert killed > 1 or list(output.glob(".prepare-*")), "killed in the midst of its work"
        else:
            seconds *= 0.8  # the machine has become faster than it was
            assert seconds > 0.1
        # A reader between two runs sees one whole dataset; the window of a millisecond is not hit here.
        if state(output, old, new) == "new":
            run(logs[0], output)
    assert start(logs[1], output).wait(900) == 0
    assert state(output, old, new) == "new"
    assert {path.name for path in output.iterdir()} == {path.name for path in clean.iterdir()}
    listed = {file.path for file in DatasetSpec.read(output).files}
    assert {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} == listed | {"dataset.json"}


def whole(spec: DatasetSpec) -> dict[str, object]:
    """All that a reader takes from a dataset: every shard's digest, and the vocabularies, which it checks."""
    shards = {
        file.path: hashlib.sha256((spec.directory / file.path).read_bytes()).hexdigest()
        for file in spec.files
        if file.view != "vocab"
    }
    return {**shards, **{file.path: spec.vocabulary(file.split) for file in spec.files if file.view == "vocab"}}


@pytest.mark.slow
def test_a_reader_beside_a_job_sees_old_then_new(logs, tmp_path):
    output, clean = tmp_path / "out", tmp_path / "clean"
    old = whole(run(logs[0], output))
    new = whole(run(logs[1], clean, partitions=40))
    child, seen = start(logs[1], output), []
    while child.poll() is None:
        try:
            found = whole(DatasetSpec.read(output))
        except (DataError, FileNotFoundError):
            continue  # files of the old dataset vanish once the new one is there; a reader opens it again
        assert found in (old, new)
        seen.append(found == new)
    assert child.returncode == 0
    assert seen[0] is False
    assert seen == sorted(seen)
    assert whole(DatasetSpec.read(output)) == new

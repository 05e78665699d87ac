"""A newcomer's walk: the commands of the pages, as they stand there, one after the other in an empty folder."""

import contextlib
import csv
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FEATURES = "--users users.csv --items items.csv --numeric age,release_year --multi class=' '"
DATA = "tfrec prepare --input log.csv --output DATA"
BEFORE = {
    "README.md": (DATA, "tfrec train bert4rec --data DATA --workdir RUN2 --seed 1 --set training.epochs=2"),
    "docs/serving.md": (
        DATA,
        "tfrec train bert4rec --data DATA --workdir RUN --set training.epochs=2",
        "tfrec prepare --input newer.csv --output DATA2",
    ),
    "docs/two-towers.md": (
        f"tfrec prepare --input newer.csv {FEATURES} --views interactions,items --label 'rating > 3' --output DATA2",
    ),
    "docs/peterrec.md": ("tfrec synth --domains 2 --output log.csv --users 150 --items 40",),
    "docs/seqgan.md": (DATA,),
    "docs/augmentation.md": (),
}
"""What each page takes for granted: what pages before it made, and smaller logs than it writes."""
LEFT_OUT = (
    r"tfrec (bench|movielens|synth)",  # have tests of their own; the second needs a network
    r"tfrec prepare --input ML/source.csv",  # of what the second wrote
    r"tfrec query NAME",  # a drawing
)
PORTS = (8500, 8501)
USERS = range(180, 220)
ITEMS = ("the-hobbit", "dune", "emma", "it", "50", "181", "174", "98", *(f"i{number}" for number in range(22)))

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BEFORE)
def test_every_command_ends_well(name: str, tmp_path: Path) -> None:
    for port in PORTS:
        with socket.socket() as taken:
            if taken.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"something listens on port {port}, where the pages ask the server")
    write_files(tmp_path)
    walk = commands((ROOT / name).read_text(encoding="utf-8"))
    assert len(walk) >= 4
    with server_of(tmp_path) as serve:
        for command in (*BEFORE[name], *walk):
            if command.startswith("tfrec serve"):
                serve(command)
                continue
            ended = subprocess.run(
                ["bash", "-c", re.sub("^curl ", "curl --silent --show-error --fail ", command)],
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=1800,
            )
            assert ended.returncode == 0, f"{command}\n{ended.stdout[-1000:]}\n{ended.stderr[-3000:]}"


def commands(page: str) -> list[str]:
    """Of the blocks and, where they name what to ask, of the lines between them, in the page's order."""
    joined = re.sub(r"\\\n\s*", "", page)
    found = re.findall(r"^(?:    )?(tfrec .*|curl (?:[^'\n]|'[^']*')*)$|`(tfrec query [^`]*)`", joined, re.MULTILINE)
    given = [line or inline for line, inline in found]
    return [command for command in given if not any(re.match(pattern, command) for pattern in LEFT_OUT)]


def environment() -> dict[str, str]:
    """The tests' Python first, whichever it is."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def server_of(folder: Path) -> Iterator[Callable[[str], None]]:
    """Starts a server in the place of the one before, waits until it answers, and ends the last one."""
    running: list[subprocess.Popen[str]] = []

    def end() -> None:
        for process in running:
            process.terminate()
            process.wait(120)
        running.clear()

    def serve(command: str) -> None:
        end()
        log = (folder / "serve.log").open("w")
        running.append(
            subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=folder, env=environment(), stdout=log, stderr=log, text=True
            )
        )
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            said = (folder / "serve.log").read_text()
            if "READY" in said:
                return
            assert running[0].poll() is None, f"{command}\n{said}"
            time.sleep(0.1)
        raise AssertionError(f"{command} was not ready within ten minutes\n{said}")

    try:
        yield serve
    finally:
        end()


def write_files(folder: Path) -> None:
    """The files that the pages name, small: a log and a newer one, tables of users and items, the server's files."""
    log = ("user_id", "item_id", "timestamp", "rating")
    for path, items in (("log.csv", ITEMS), ("interactions.csv", ITEMS), ("newer.csv", (*ITEMS, "a-new-one"))):
        write(folder / path, log, interactions(items))
    users = [(user, 20 + user % 40, "FM"[user % 2], "writer") for user in USERS]
    write(folder / "users.csv", ("user_id", "age", "gender", "occupation"), users)
    columns = ("item_id", "movie_title", "release_year", "class")
    items = [
        (item, f"About {item}", 1960 + place, ("Drama War", "Comedy")[place % 2]) for place, item in enumerate(ITEMS)
    ]
    (folder / "ML").mkdir()
    for path in ("items.csv", "ML/items.csv"):
        write(folder / path, columns, items)
    shutil.copytree(ROOT / "serving/config", folder / "serving/config")
    config = folder / "serving/config/models.config"
    config.write_text(config.read_text().replace("/models/", f"{folder}/saved_models/"))  # as the file says


def interactions(items: Sequence[str]) -> list[tuple[object, ...]]:
    rng = np.random.default_rng(0)
    starts = rng.integers(len(items), size=len(USERS))
    return [
        (user, items[(start + place) % len(items)], 1_000_000 + 100 * user + place, int(rng.choice([1, 2, 4, 5])))
        for user, start in zip(USERS, starts, strict=True)
        for place in range(20)
    ]


def write(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])

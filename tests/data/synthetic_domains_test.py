import csv
from collections import Counter
from pathlib import Path

import pytest

from tfrec_zoo.data.synthetic_domains import synthesize_domains
from tfrec_zoo.errors import ConfigError


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_logs_of_the_same_people_with_other_items(tmp_path: Path) -> None:
    truth = synthesize_domains(tmp_path / "log.csv", users=200, items=60, min_length=5, max_length=9, seed=1)
    source, target, users = (rows(tmp_path / f"log{part}.csv") for part in ("", "-target", "-users"))
    assert len(source) == truth["source_interactions"]
    assert len(target) == truth["target_interactions"]
    assert not {row["item_id"] for row in source} & {row["item_id"] for row in target}
    assert {row["user_id"] for row in target} <= {row["user_id"] for row in source}
    assert len({row["user_id"] for row in target}) == truth["target_users"] == 60
    assert max(int(row["timestamp"]) for row in source) < min(int(row["timestamp"]) for row in target)
    assert set(Counter(row["user_id"] for row in source).values()) <= set(range(5, 10))
    assert len({row["segment"] for row in users}) == 4
    assert len(users) == 200


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        synthesize_domains(tmp_path / folder / "log.csv", users=40, items=30, min_length=3, max_length=6, seed=seed)
    content = {
        folder: {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("a", "b", "c")
    }
    assert content["a"] == content["b"]
    assert all(content["a"][name] != content["c"][name] for name in content["a"])


@pytest.mark.parametrize("wrong", [{"users": 0}, {"items": 10}, {"min_length": 9, "max_length": 5}, {"seed": -1}])
def test_impossible_parameters_are_refused(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="synth:"):
        synthesize_domains(tmp_path / "log.csv", **{"users": 10, "items": 30, **wrong})
    with pytest.raises(ConfigError, match="is a folder"):
        synthesize_domains(tmp_path)
    assert not list(tmp_path.iterdir())

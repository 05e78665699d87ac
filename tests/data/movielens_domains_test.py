"""`tfrec movielens --domains 2`: every film in one of the two domains, every user with a band."""

import csv
from pathlib import Path

import pytest

from tests.data.movielens_test import FILES, make_archive
from tfrec_zoo.cli import main
from tfrec_zoo.data.movielens import movielens
from tfrec_zoo.data.movielens_domains import age_band
from tfrec_zoo.errors import ConfigError

_FILMS = ("1::A (1990)::Drama\n", "2::B (1990)::Drama|War\n", "3::C (1990)::War|Comedy\n", "4::D (1990)::Noir\n")
_RATINGS = [(user, film) for film, users in ((1, 9), (2, 5), (3, 4), (4, 1)) for user in range(1, users + 1)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    ratings = "".join(f"{user}::{film}::5::{1000 + film}\n" for user, film in _RATINGS)
    users = "".join(f"{user}::{'FM'[user % 2]}::{(1, 18, 25, 35, 56)[user % 5]}::1::0\n" for user in range(1, 10))
    return make_archive("1m", tmp_path, {"ratings.dat": ratings, "movies.dat": "".join(_FILMS), "users.dat": users})


def test_a_film_belongs_to_its_rarest_genre_and_genres_take_turns(archive: Path, tmp_path: Path) -> None:
    # Interactions: Drama 14, War 9, Comedy 4, Noir 1, which fall to the source, the target, the source, the target.
    result = movielens("1m", tmp_path / "OUT", archive, domains=2)
    source, target = rows(tmp_path / "OUT" / "source.csv"), rows(tmp_path / "OUT" / "target.csv")
    assert {row["item_id"] for row in source} == {"1", "3"}
    assert {row["item_id"] for row in target} == {"2", "4"}
    everything = rows(tmp_path / "OUT" / "interactions.csv")
    assert sorted(map(tuple, (row.values() for row in everything))) == sorted(
        map(tuple, (row.values() for row in source + target))
    )
    assert [Path(name).name for name in result["files"][-3:]] == ["source.csv", "target.csv", "profiles.csv"]
    assert rows(tmp_path / "OUT" / "profiles.csv")[0] == {"user_id": "1", "gender": "M", "age_band": "under 25"}


def test_it_is_what_prepare_reads(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "OUT"
    assert main(["movielens", "--variant", "1m", "--output", str(out), "--source", str(archive), "--domains", "2"]) == 0
    command = ["prepare", "--input", str(out / "source.csv"), "--target-input", str(out / "target.csv")]
    command += ["--users", str(out / "profiles.csv"), "--views", "sequences,transfer,profiles"]
    command += ["--profile-labels", "gender,age_band", "--output", str(tmp_path / "DATA")]
    assert main(command) == 0


def test_without_users_there_are_no_profiles(tmp_path: Path) -> None:
    movielens("20m", tmp_path / "OUT", make_archive("20m", tmp_path, FILES["20m"]), domains=2)
    assert not (tmp_path / "OUT" / "profiles.csv").exists()
    assert (tmp_path / "OUT" / "source.csv").exists()
    with pytest.raises(ConfigError, match="1 or 2 domains, not 3"):
        movielens("20m", tmp_path / "OUT", domains=3)


@pytest.mark.parametrize(
    ("age", "band"), [(1, "under 25"), (24, "under 25"), (25, "25-34"), (44, "35-44"), (45, "45 and over")]
)
def test_bands(age: int, band: str) -> None:
    assert age_band(age) == band

"""MovieLens 100K, 1M and 20M as standard CSVs: interactions.csv, items.csv and, where there are any, users.csv.

Harper and Konstan, "The MovieLens Datasets: History and Context", TiiS 2015; https://grouplens.org/datasets/movielens/.

    interactions.csv   user_id,item_id,rating,timestamp
    items.csv          item_id,movie_title,release_year,class     class: genres, separated by spaces
    users.csv          user_id,age,gender,occupation,zip_code     1m: age and occupation are GroupLens's codes

On request also as two domains with common users (movielens_domains.py).
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrec_zoo.data.movielens_archive import BASE_ADDRESS, Archive, downloaded, md5_of
from tfrec_zoo.data.movielens_domains import split_domains
from tfrec_zoo.errors import ConfigError, DataError

LICENCE = (
    "MovieLens is for research; no commercial use without GroupLens's permission. Terms and how to cite: the README of "
    "the archive and https://grouplens.org/datasets/movielens/"
)

_INTERACTIONS = ("user_id", "item_id", "rating", "timestamp")
_ITEMS = ("item_id", "movie_title", "release_year", "class")
_USERS = ("user_id", "age", "gender", "occupation", "zip_code")
_ROWS_BETWEEN_LINES = 2_000_000
_TITLE_AND_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*")
# The order of the flags in u.item.
# fmt: off
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
# fmt: on

Row = tuple[str, ...]
Rows = Callable[[Iterable[str]], Iterator[Row]]


@dataclasses.dataclass(frozen=True)
class _Variant:
    """One archive: its checksum, and for each CSV the file that it comes from and how its lines are read."""

    archive: str
    md5: str
    encoding: str
    files: Mapping[str, tuple[str, tuple[str, ...], Rows]]


def movielens(
    variant: str,
    output: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    domains: int = 1,
    base_address: str = BASE_ADDRESS,
    progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> dict[str, Any]:
    """Writes a variant of MovieLens as CSVs that `tfrec prepare` reads.

    Args:
        variant: "100k", "1m" or "20m".
        output: Directory of the CSVs; made where it is missing.
        source: The archive or the folder that it was unpacked into; default: it is downloaded and checked.
        domains: 2 adds source.csv, target.csv and profiles.csv: two halves of the genres, for transfer between them.
        base_address: Where to download from.
        progress: Told what is going on, a line at a time.

    Returns:
        "variant", the numbers of "interactions", "items" and "users", and "files", the paths of the CSVs.

    Raises:
        ConfigError: An unknown variant, or another number of domains.
        DataError: No network, a wrong checksum, an archive that is damaged or another, or a row that is none.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"no MovieLens variant {variant!r}; there are {', '.join(VARIANTS)}.")
    if domains not in (1, 2):
        raise ConfigError(f"there are 1 or 2 domains, not {domains}.")
    chosen, folder = VARIANTS[variant], Path(output)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            if source is None:
                path = stack.enter_context(downloaded(chosen.archive, chosen.md5, folder, base_address, progress))
            else:
                path = Path(source)
                if path.is_file() and md5_of(path) != chosen.md5:
                    progress(f"{path} has another checksum than GroupLens's {chosen.archive}; reading it all the same")
            result = _write_all(Archive(path, chosen.encoding), variant, folder, progress)
        if domains == 2:
            for name, rows in split_domains(folder).items():
                progress(f"{name}: {rows:,} rows")
                result["files"].append(str(folder / name))
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    progress(LICENCE)
    return result


def _write_all(archive: Archive, variant: str, folder: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    files = VARIANTS[variant].files
    archive.check([name for name, _, _ in files.values()], variant)
    counts: dict[str, int] = {}
    users: set[str] = set()
    temporary = {target: folder / f".{os.getpid()}.{target}" for target in files}
    try:
        for target, (name, columns, rows) in files.items():
            counts[target] = 0
            with archive.lines(name) as lines, temporary[target].open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                for row in _checked(rows(lines), f"{name} in {archive.path}"):
                    writer.writerow(row)
                    counts[target] += 1
                    if target == "interactions.csv":
                        users.add(row[0])
                        if counts[target] % _ROWS_BETWEEN_LINES == 0:
                            progress(f"{counts[target]:,} interactions")
            progress(f"{target}: {counts[target]:,} rows")
        for target, path in temporary.items():  # all or none
            os.replace(path, folder / target)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return {
        "variant": variant,
        "interactions": counts["interactions.csv"],
        "items": counts["items.csv"],
        "users": len(users),
        "files": [str(folder / target) for target in files],
    }


def _checked(rows: Iterator[Row], where: str) -> Iterator[Row]:
    number = 0
    try:
        for row in rows:
            yield row
            number += 1
    except (ValueError, IndexError, csv.Error) as error:
        raise DataError(f"row {number + 1} of {where} is not a row of MovieLens: {error}.") from error
    if not number:
        raise DataError(f"{where} is empty.")


def _separated(separator: str) -> Rows:
    def rows(lines: Iterable[str]) -> Iterator[Row]:
        return (_interaction(line.split(separator)) for line in lines if line)

    return rows


def _with_header(rows: Callable[[list[str]], Row]) -> Rows:
    def read(lines: Iterable[str]) -> Iterator[Row]:
        reader = csv.reader(lines)
        next(reader, None)
        return (rows(fields) for fields in reader if fields)

    return read


def _interaction(fields: list[str]) -> Row:
    user, item, rating, timestamp = fields
    float(rating), int(timestamp)
    return user, item, rating, timestamp


def _item(item: str, title_and_year: str, genres: Iterable[str]) -> Row:
    match = _TITLE_AND_YEAR.fullmatch(title_and_year)
    title, year = (match["title"], match["year"]) if match else (title_and_year.strip(), "")
    known = ["unknown" if genre == "(no genres listed)" else genre for genre in genres]
    return str(int(item)), title, year, " ".join(known)


def _items_100k(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if line:
            fields = line.split("|")
            flags = zip(_GENRES_100K, fields[5:], strict=True)
            yield _item(fields[0], fields[1], [genre for genre, flag in flags if flag == "1"])


def _items_1m(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if line:
            item, rest = line.split("::", 1)
            title, genres = rest.rsplit("::", 1)
            yield _item(item, title, genres.split("|"))


def _items_20m(fields: list[str]) -> Row:
    item, title, genres = fields
    return _item(item, title, genres.split("|"))


def _users_100k(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if line:
            user, age, gender, occupation, zip_code = line.split("|")
            yield user, age, gender, occupation, zip_code


def _users_1m(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if line:
            user, gender, age, occupation, zip_code = line.split("::")
            yield user, age, gender, occupation, zip_code


VARIANTS: dict[str, _Variant] = {
    "100k": _Variant(
        "ml-100k.zip",
        "0e33842e24a9c977be4e0107933c0723",
        "latin-1",
        {
            "items.csv": ("u.item", _ITEMS, _items_100k),
            "users.csv": ("u.user", _USERS, _users_100k),
            "interactions.csv": ("u.data", _INTERACTIONS, _separated("\t")),
        },
    ),
    "1m": _Variant(
        "ml-1m.zip",
        "c4d9eecfca2ab87c1945afe126590906",
        "latin-1",
        {
            "items.csv": ("movies.dat", _ITEMS, _items_1m),
            "users.csv": ("users.dat", _USERS, _users_1m),
            "interactions.csv": ("ratings.dat", _INTERACTIONS, _separated("::")),
        },
    ),
    "20m": _Variant(
        "ml-20m.zip",
        "cd245b17a1ae2cc31bb14903e1204af3",
        "utf-8",
        {
            "items.csv": ("movies.csv", _ITEMS, _with_header(_items_20m)),
            "interactions.csv": ("ratings.csv", _INTERACTIONS, _with_header(_interaction)),
        },
    ),
}

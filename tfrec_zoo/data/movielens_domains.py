"""MovieLens as two domains with common users: one half of the genres is the source, the other the target.

    source.csv, target.csv   user_id,item_id,rating,timestamp    no item is in both
    profiles.csv             user_id,gender,age_band             where there is a users.csv

A film belongs to the rarest of its genres, the one that says most about it. Genres in the order of their interactions
fall to the source and the target in turn, so that both get about as many.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_AGE_BANDS = ((25, "under 25"), (35, "25-34"), (45, "35-44"))
_OLDEST = "45 and over"
SOURCE, TARGET, PROFILES = "source.csv", "target.csv", "profiles.csv"


def split_domains(folder: Path) -> dict[str, int]:
    """Writes the two domains of a folder that `movielens` has filled.

    Args:
        folder: With interactions.csv, items.csv and perhaps users.csv; the new files go there, all or none.

    Returns:
        File name -> its rows.
    """
    domain = _domains(folder)
    profiles = (folder / "users.csv").exists()
    names = [SOURCE, TARGET, *([PROFILES] if profiles else [])]
    temporary = {name: folder / f".{os.getpid()}.{name}" for name in names}
    counts = dict.fromkeys(names, 0)
    try:
        with contextlib.ExitStack() as stack:
            writers = {
                name: csv.writer(stack.enter_context(path.open("w", newline="", encoding="utf-8")), lineterminator="\n")
                for name, path in temporary.items()
            }
            for number, row in enumerate(_rows(folder / "interactions.csv")):
                if not number:
                    writers[SOURCE].writerow(row)
                    writers[TARGET].writerow(row)
                writers[domain[row["item_id"]]].writerow(row.values())
                counts[domain[row["item_id"]]] += 1
            if profiles:
                writers[PROFILES].writerow(("user_id", "gender", "age_band"))
                for row in _rows(folder / "users.csv"):
                    writers[PROFILES].writerow((row["user_id"], row["gender"], age_band(int(row["age"]))))
                    counts[PROFILES] += 1
        for name, path in temporary.items():
            os.replace(path, folder / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return counts


def age_band(age: int) -> str:
    """The band of an age in years, or of a code of MovieLens 1M, which is the lowest age of its own band."""
    return next((name for end, name in _AGE_BANDS if age < end), _OLDEST)


def _domains(folder: Path) -> Mapping[str, str]:
    """Item -> the file of its domain."""
    genres = {row["item_id"]: row["class"].split() or ["unknown"] for row in _rows(folder / "items.csv")}
    interactions = collections.Counter(row["item_id"] for row in _rows(folder / "interactions.csv"))
    of_genre: collections.Counter[str] = collections.Counter()
    for item, its_genres in genres.items():
        of_genre.update(dict.fromkeys(its_genres, interactions[item]))
    order = sorted(of_genre, key=lambda genre: (-of_genre[genre], genre))
    place = {genre: number for number, genre in enumerate(order)}
    rarest = {item: max(place[genre] for genre in its_genres) for item, its_genres in genres.items()}
    return {item: (SOURCE, TARGET)[number % 2] for item, number in rarest.items()}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)

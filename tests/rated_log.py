"""A log with labels, users and items with features: the small circle of items of tests/conftest.py, rated."""

from pathlib import Path

import numpy as np

from tests.conftest import ITEMS, USERS, write_log
from tfrec_zoo.dataset_spec import DatasetSpec


def write_tables(folder: Path) -> tuple[Path, Path]:
    """users.csv and items.csv with categories, several values, numbers, and gaps in all of them."""
    rng = np.random.default_rng(1)
    users, items = folder / "users.csv", folder / "items.csv"
    lines = [f"u{user},{'fm'[user % 2] if user % 7 else ''},{rng.integers(18, 70)}" for user in range(USERS)]
    users.write_text("\n".join(["user_id,gender,age", *lines]) + "\n")
    genres = ["Comedy|Drama", "Drama", "", "Action|Comedy|Drama"]
    lines = [f"i{item:02d},{genres[item % 4]},{'' if item % 5 == 0 else 1990 + item}" for item in range(ITEMS)]
    items.write_text("\n".join(["item_id,genres,year", *lines]) + "\n")
    return users, items


def prepare_rated(folder: Path, **options: object) -> DatasetSpec:
    """A dataset with the views of interactions and items, split at random."""
    import beam_jobs

    users, items = write_tables(folder)
    values = {
        "input": (str(write_log(folder / "log.csv")),),
        "output": str(folder / "DATA"),
        "users": str(users),
        "items": str(items),
        "numeric": ("age", "year"),
        "multi": {"genres": "|"},
        "views": ("sequences", "interactions", "items"),
        "label": "rating > 3",
        "split": "random",
        "test_share": 0.2,
        "partitions": 2,
        "quiet": True,
    }
    beam_jobs.prepare(beam_jobs.PrepareOptions(**{**values, **options}))
    return DatasetSpec.read(folder / "DATA")

"""The leave-one-out protocol read straight off a CSV, for tests to compare with."""

import csv
from collections import defaultdict
from pathlib import Path


def histories(log_file: Path) -> dict[str, list[str]]:
    """Raw items of every user, oldest first, ties in the order of the log."""
    rows = defaultdict(list)
    with log_file.open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    return {user: [item for _, item in sorted(events, key=lambda event: event[0])] for user, events in rows.items()}


def train_histories(log_file: Path) -> dict[str, list[str]]:
    """All but the last two items of users with at least 3, everything of the others."""
    return {user: items[:-2] if len(items) >= 3 else items for user, items in histories(log_file).items()}

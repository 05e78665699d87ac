"""Rows of `interactions` under every split protocol, against the definitions written as plainly as possible."""

from collections import Counter

import numpy as np
import pytest

from tests.beam_jobs.conftest import run
from tests.beam_jobs.interactions_test import rows

PARTS = ("train", "valid", "test")
HEADER = "user_id,item_id,timestamp,rating"


def log(first: int = 0, last: int = 400) -> list[tuple[str, str, int, int]]:
    """Rows of random users, items and ratings; no two at the same time."""
    rng = np.random.default_rng(5)
    drawn = [
        (f"u{rng.integers(25)}", f"i{int(rng.zipf(1.6)) % 40:02d}", n, int(rng.integers(1, 6))) for n in range(last)
    ]
    return drawn[first:]


def text(rows: list[tuple]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def by_hand(events: list[dict], length: int) -> list[dict]:
    """Histories, counts and means of events that say in which part they are, in the order of time."""
    counted = [event for event in events if event["part"] == 0 and event["label"] >= 0]
    train_items = Counter(event["item"] for event in events if event["part"] == 0)
    vocabulary = sorted(train_items, key=lambda item: (-train_items[item], item))
    ids = {item: 4 + place for place, item in enumerate(vocabulary)}

    def mean(event: dict, column: str) -> tuple[int, float]:
        others = [other for other in counted if other is not event]
        same = [other["label"] for other in others if other[column] == event[column]]
        labels = same or [other["label"] for other in others]
        return len(same), sum(labels) / len(labels)

    found = []
    for place, event in enumerate(events):
        if event["label"] < 0:
            continue
        past = [e["item"] for e in events[:place] if e["user"] == event["user"] and e["part"] <= event["part"]]
        (user_count, user_mean), (item_count, item_mean) = mean(event, "user"), mean(event, "item")
        known = event["item"] in ids
        found.append(
            {
                "user": event["user"],
                "time": event["time"],
                "part": event["part"],
                "item": ids.get(event["item"], 1),
                "label": event["label"],
                "history": [ids.get(item, 1) for item in past][-length:],
                "user_count": user_count,
                "user_mean_label": pytest.approx(user_mean, abs=1e-6),
                "item_count": item_count if known else 0,
                "item_mean_label": pytest.approx(item_mean, abs=1e-6),
            }
        )
    return found


@pytest.mark.parametrize("split", ["leave-one-out", "temporal", "user", "random", "files"])
def test_rows_equal_their_definitions_under_every_split(write, tmp_path, split):
    options = {"views": ("interactions",), "label": "rating > 3", "drop": "rating == 3", "history_length": 6}
    if split == "files":
        path = write(text(log(last=300)), "train.csv", HEADER)
        others = {"valid_input": text(log(300, 350)), "test_input": text(log(350))}
        options |= {name: (str(write(rest, f"{name}.csv", HEADER)),) for name, rest in others.items()}
    else:
        path = write(text(log()), header=HEADER)
    spec = run(path, tmp_path / "out", split=split, valid_share=0.15, test_share=0.15, partitions=3, **options)
    found = {row["time"]: {**row, "part": part} for part, name in enumerate(PARTS) for row in rows(spec, name)}
    assert len(found) == len([row for row in log() if row[3] != 3])
    if split == "leave-one-out":
        position, lengths = Counter(), Counter(row[0] for row in log())
        parts = []
        for user, *_ in log():
            position[user] += 1
            parts.append(max(0, 2 + position[user] - lengths[user]) if lengths[user] >= 3 else 0)
    elif split == "temporal":
        cuts = spec.split.details["valid_from"], spec.split.details["test_from"]
        parts = [sum(time >= cut for cut in cuts) for _, _, time, _ in log()]
    elif split == "user":
        of_user = {row["user"]: row["part"] for row in found.values()}
        parts = [of_user[user] for user, *_ in log()]
    elif split == "files":
        parts = [(time >= 300) + (time >= 350) for _, _, time, _ in log()]
    else:
        # Which part a dropped row fell into is seen in the records of a job that drops none.
        spec = run(path, tmp_path / "all", split=split, valid_share=0.15, test_share=0.15, **{**options, "drop": None})
        everything = {row["time"]: part for part, name in enumerate(PARTS) for row in rows(spec, name)}
        parts = [everything[time] for _, _, time, _ in log()]
    events = [
        {"user": u, "item": i, "time": t, "label": -1 if r == 3 else int(r > 3), "part": part}
        for (u, i, t, r), part in zip(log(), parts, strict=True)
    ]
    assert {part for event in events for part in [event["part"]]} == {0, 1, 2}
    for expected in by_hand(events, 6):
        row = found[expected["time"]]
        assert {name: row[name] for name in expected} == expected

"""`tfrec synth --domains 2`: two logs of the same people, for transfer that can be measured.

    log.csv            the source: every user, long histories
    log-target.csv     the target: a part of the users, a few events each, later in time, other items
    log-users.csv      user_id,segment: an attribute that the tastes reveal
    log-truth.json     what was drawn; written last

A user has tastes: a few of the groups, each with a weight. In both domains an event is a group, drawn from the tastes
(or, in the source, often the group of the event before), and an item of the group, drawn by a Zipf law. Item numbers
say nothing of the groups. So what is learned of a user in the source is what matters in the target.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_zoo.data.synthetic import _DEFAULTS
from tfrec_zoo.errors import ConfigError

GROUPS = 12
SEGMENTS = 4
_STAY = 0.4  # Probability that a source event stays in the group of the event before.
_SEGMENT_TELLS = 0.9  # Probability that the segment is that of the strongest taste; otherwise it is any.
_CONCENTRATION = 0.15  # Of the Dirichlet law of the tastes: the lower, the fewer groups a user likes.
_START, _DAY = 1_672_531_200, 86_400


def synthesize_domains(
    output: str | Path,
    *,
    users: int = _DEFAULTS.users,
    items: int = _DEFAULTS.items,
    seed: int = _DEFAULTS.seed,
    min_length: int = _DEFAULTS.min_length,
    max_length: int = _DEFAULTS.max_length,
    target_share: float = 0.3,
) -> dict[str, Any]:
    """Writes the two logs with their users and truth files; the same arguments give the same bytes.

    Args:
        output: The source's file; the others stand beside it under its stem. Missing folders are made.
        users: Users of the source.
        items: Items of the source; the target has half as many.
        seed: Seed of everything.
        min_length: Shortest source history, in events.
        max_length: Longest source history, in events.
        target_share: Share of the users that the target knows, with 1 to 6 events each.

    Returns:
        What the truth file holds: seed, users, items, source_interactions, target_users, target_items,
        target_interactions.

    Raises:
        ConfigError: The parameters are impossible, or `output` is a folder.
    """
    output = Path(output)
    if output.is_dir():
        raise ConfigError(f"synth: output {output} is a folder; give the name of a file, such as {output / 'log.csv'}")
    if users < 1 or not 1 <= min_length <= max_length or items < 2 * GROUPS:
        raise ConfigError(
            f"synth: two domains need at least 1 user, {2 * GROUPS} items and lengths from 1 to max_length, not "
            f"{users}, {items} and {min_length} to {max_length}"
        )
    if not 0 < target_share <= 1:
        raise ConfigError(f"synth: target_share is {target_share}; a share lies above 0 and is at most 1")
    if seed < 0:
        raise ConfigError(f"synth: seed is {seed}; give 0 or more")
    rng = np.random.Generator(np.random.PCG64([seed, 5]))
    tastes = rng.dirichlet(np.full(GROUPS, _CONCENTRATION), users)
    source_groups, target_groups = (rng.permutation(n) % GROUPS for n in (items, items // 2))

    lengths = rng.integers(min_length, max_length, size=users, endpoint=True)
    source = _events(rng, tastes, lengths, source_groups, _STAY)
    known = np.sort(rng.choice(users, max(1, round(target_share * users)), replace=False))
    counts = np.zeros(users, np.int64)
    counts[known] = rng.integers(1, 6, size=len(known), endpoint=True)
    target = _events(rng, tastes, counts, target_groups, 0.0)

    strongest = tastes.argmax(axis=1) % SEGMENTS
    told = rng.random(users) < _SEGMENT_TELLS
    segments = np.where(told, strongest, rng.integers(SEGMENTS, size=users))
    truth = {
        "seed": seed,
        "users": users,
        "items": items,
        "source_interactions": len(source[0]),
        "target_users": len(known),
        "target_items": items // 2,
        "target_interactions": len(target[0]),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    truth_file = output.with_name(f"{output.stem}-truth.json")
    truth_file.unlink(missing_ok=True)
    _write_log(output, "s", source, _START)
    _write_log(output.with_name(f"{output.stem}-target.csv"), "t", target, _START + 1000 * _DAY)
    rows = "".join(f"u{user:06d},s{segment}\n" for user, segment in enumerate(segments.tolist()))
    output.with_name(f"{output.stem}-users.csv").write_text(f"user_id,segment\n{rows}", encoding="utf-8")
    truth_file.write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return truth


def _events(
    rng: np.random.Generator, tastes: np.ndarray, lengths: np.ndarray, group_of: np.ndarray, stay: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, place within the user, and item of every event; int64 (events,) each."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    drawn = (tastes.cumsum(axis=1)[owner] < rng.random((len(owner), 1))).sum(axis=1).clip(max=GROUPS - 1)
    stays = (rng.random(len(owner)) < stay) & (place > 0)
    # The group of the last event that did not stay.
    group = drawn[np.maximum.accumulate(np.where(stays, 0, np.arange(len(owner))))]
    item = np.empty(len(owner), np.int64)
    for number in range(GROUPS):
        members = np.flatnonzero(group_of == number)
        weights = 1.0 / (1.0 + np.arange(len(members)))
        here = group == number
        item[here] = rng.choice(members, here.sum(), p=weights / weights.sum())
    return owner, place, item


def _write_log(path: Path, prefix: str, events: tuple[np.ndarray, np.ndarray, np.ndarray], start: int) -> None:
    columns = (column.tolist() for column in events)
    rows = "".join(
        f"u{user:06d},{prefix}{item:06d},{start + place * _DAY}\n" for user, place, item in zip(*columns, strict=True)
    )
    path.write_text(f"user_id,item_id,timestamp\n{rows}", encoding="utf-8")

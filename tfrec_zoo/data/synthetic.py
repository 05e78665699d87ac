"""`tfrec synth`: a seeded synthetic log whose learnable structure is known, written beside what can be learned of it.

    log.csv          user_id,item_id,timestamp,rating, in the order of time
    log-items.csv    item_id,category,year,price
    log-users.csv    user_id,segment,age, which reveal the user's first taste in part
    log-truth.json   parameters, and NDCG@10 and HR@10 of the best possible predictor and of popularity; written last

What a model learned is then a measured share: (model - popularity) / (best possible - popularity), in NDCG@10 on the
leave-one-out test targets over the whole catalogue without the items of the user's history.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_zoo.data.synthetic_oracle import RankingFigures, leave_one_out_ranks, ranking_figures
from tfrec_zoo.data.synthetic_world import SyntheticLog, SyntheticParameters, SyntheticWorld, make_world, sample_log
from tfrec_zoo.errors import ConfigError

_DEFAULTS = SyntheticParameters()
_SEGMENT_TELLS = 0.6  # Probability that the segment names the taste; otherwise it is any segment.


@dataclasses.dataclass(frozen=True)
class SyntheticTruth:
    """What is known of a synthetic log.

    Args:
        parameters: What the log was drawn from.
        interactions: Rows of the log.
        evaluated_users: Users with a leave-one-out target: those with 3 or more events.
        best_possible: Figures of the predictor that knows the process and sees the item history.
        popularity: Figures of the counts of the train part.
    """

    parameters: SyntheticParameters
    interactions: int
    evaluated_users: int
    best_possible: RankingFigures
    popularity: RankingFigures

    def share_learned(self, ndcg_at_10: float) -> float:
        """Places a model's NDCG@10 between popularity, 0, and the best possible, 1.

        Args:
            ndcg_at_10: The model's, on the leave-one-out test targets, whole catalogue, seen items left out.

        Returns:
            The share; negative for a model below popularity.
        """
        floor = self.popularity.ndcg_at_10
        return (ndcg_at_10 - floor) / (self.best_possible.ndcg_at_10 - floor)

    def summary(self) -> str:
        """What `tfrec synth` prints: the size of the log and the range between popularity and the best possible."""
        lines = [
            f"{self.interactions:,} interactions of {self.parameters.users:,} users, {self.parameters.items:,} items"
        ]
        for name, figures in (("popularity", self.popularity), ("best possible", self.best_possible)):
            lines.append(
                f"{name:13}  NDCG@10 {figures.ndcg_at_10:.4f} (standard error {figures.ndcg_at_10_se:.4f})  "
                f"HR@10 {figures.hr_at_10:.4f} (standard error {figures.hr_at_10_se:.4f})"
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Gives the content of the truth file.

        Returns:
            Plain values; figures under the evaluator's names, such as `ndcg@10`, rounded to 6 digits.
        """

        def plain(figures: RankingFigures) -> dict[str, float]:
            return {
                "ndcg@10": round(figures.ndcg_at_10, 6),
                "ndcg@10_se": round(figures.ndcg_at_10_se, 6),
                "hr@10": round(figures.hr_at_10, 6),
                "hr@10_se": round(figures.hr_at_10_se, 6),
            }

        return {
            "seed": self.parameters.seed,
            "parameters": dataclasses.asdict(self.parameters),
            "interactions": self.interactions,
            "mean_length": round(self.interactions / self.parameters.users, 6),
            "protocol": "leave-one-out test target, whole catalogue, seen items filtered, ties counted half",
            "evaluated_users": self.evaluated_users,
            "best_possible": plain(self.best_possible),
            "popularity": plain(self.popularity),
        }


def best_possible(world: SyntheticWorld, log: SyntheticLog) -> SyntheticTruth:
    """Measures the best possible predictor and popularity on the leave-one-out test targets of a log.

    Args:
        world: The process that the log was drawn from.
        log: The log.

    Returns:
        The figures.

    Raises:
        ConfigError: No user has the 3 events that a test target needs.
    """
    best, popular = leave_one_out_ranks(world, log)
    if not best.size:
        raise ConfigError("synth: no user has 3 events, so there is no test target; raise max_length or users")
    return SyntheticTruth(
        parameters=world.parameters,
        interactions=int(log.lengths.sum()),
        evaluated_users=int(best.size),
        best_possible=ranking_figures(best),
        popularity=ranking_figures(popular),
    )


def _interaction_rows(log: SyntheticLog) -> Iterable[str]:
    user, place = np.nonzero(np.arange(log.items.shape[1]) < log.lengths[:, None])
    times = log.times[user, place]
    order = np.argsort(times, kind="stable")
    user, place = user[order], place[order]
    columns = (user, log.items[user, place], times[order], log.ratings[user, place])
    for u, i, time, rating in zip(*(column.tolist() for column in columns), strict=True):
        yield f"u{u:06d},i{i:06d},{time},{rating}"


def _item_rows(world: SyntheticWorld) -> Iterable[str]:
    p = world.parameters
    rng = np.random.Generator(np.random.PCG64([p.seed, 2]))
    # Rising items are newer, on average: a feature that says something and not everything.
    rise = np.sign(world.popularity[-1] - world.popularity[0])
    years = np.clip(np.rint(2015 + 3 * rise + 4 * rng.standard_normal(p.items)), 1990, 2022).astype(np.int64)
    level = np.exp(rng.normal(3.0, 0.6, p.categories))[world.category]
    prices = level * np.exp(0.3 * rng.standard_normal(p.items))
    for i, (category, year, price) in enumerate(
        zip(world.category.tolist(), years.tolist(), prices.tolist(), strict=True)
    ):
        yield f"i{i:06d},c{category:02d},{year},{price:.2f}"


def _user_rows(world: SyntheticWorld, log: SyntheticLog) -> Iterable[str]:
    p = world.parameters
    rng = np.random.Generator(np.random.PCG64([p.seed, 3]))
    taste = log.tastes[:, 0]
    told = rng.random(p.users) < _SEGMENT_TELLS
    segments = np.where(told, taste, rng.integers(p.tastes, size=p.users))
    typical = rng.uniform(22.0, 60.0, p.tastes)
    ages = np.clip(np.rint(typical[taste] + 8.0 * rng.standard_normal(p.users)), 16, 90).astype(np.int64)
    for u, (segment, age) in enumerate(zip(segments.tolist(), ages.tolist(), strict=True)):
        yield f"u{u:06d},s{segment:02d},{age}"


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _table(header: str, rows: Iterable[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def synthesize(
    output: str | Path,
    *,
    users: int = _DEFAULTS.users,
    items: int = _DEFAULTS.items,
    seed: int = _DEFAULTS.seed,
    min_length: int = _DEFAULTS.min_length,
    max_length: int = _DEFAULTS.max_length,
) -> SyntheticTruth:
    """Writes a synthetic log with its item, user and truth files; the same arguments give the same bytes.

    Args:
        output: The interactions file; the others stand beside it under its stem. Missing folders are made.
        users: Users.
        items: Items; more than `max_length`.
        seed: Seed of everything.
        min_length: Shortest history, in events.
        max_length: Longest history, in events.

    Returns:
        What is known of the log, as in the truth file.

    Raises:
        ConfigError: The parameters are impossible, or `output` is a folder.

    Example:
        >>> truth = synthesize(tmp_path / "log.csv", users=200, items=100)  # doctest: +SKIP
        >>> truth.popularity.ndcg_at_10 < truth.best_possible.ndcg_at_10  # doctest: +SKIP
        True
    """
    output = Path(output)
    if output.is_dir():
        raise ConfigError(f"synth: output {output} is a folder; give the name of a file, such as {output / 'log.csv'}")
    parameters = SyntheticParameters(users=users, items=items, seed=seed, min_length=min_length, max_length=max_length)
    world = make_world(parameters)
    log = sample_log(world)
    truth = best_possible(world, log)

    output.parent.mkdir(parents=True, exist_ok=True)
    truth_file = output.with_name(f"{output.stem}-truth.json")
    # The truth vouches for the files beside it, so an old one goes first and the new one comes last.
    truth_file.unlink(missing_ok=True)
    _write(output, _table("user_id,item_id,timestamp,rating", _interaction_rows(log)))
    _write(output.with_name(f"{output.stem}-items.csv"), _table("item_id,category,year,price", _item_rows(world)))
    _write(output.with_name(f"{output.stem}-users.csv"), _table("user_id,segment,age", _user_rows(world, log)))
    _write(truth_file, json.dumps(truth.to_json(), indent=2) + "\n")
    return truth

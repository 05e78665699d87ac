"""The generative process of the synthetic log: a hidden Markov chain whose every probability is known.

A user carries a hidden state (taste, epoch). The taste is one of a few classes and seldom changes; the epoch is the
season of the catalogue in which the user's events fall and only moves on. Each event is drawn in one of two ways:

- *follow*, with probability `follow`: look back 1, 2, ... events (`lag_weights`) and take a sequel of the item there.
  A lag before the first event, or a sequel that was touched already, turns into a browse;
- *browse*: an untouched item, in proportion to the attraction of its category (given the taste and the category of the
  previous item) times its popularity in the epoch (a Zipf law whose items rise or fade from epoch to epoch).

No user touches an item twice. The probability of an item given the state depends on the item history alone, which is
what makes the best possible predictor of `synthetic_oracle` exact.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfrec_zoo.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_ITEM = -1
FIRST_SECOND = 1_672_531_200  # 2023-01-01T00:00:00Z
EPOCH_SECONDS = 90 * 24 * 3600
_BLOCK = 4096  # Users drawn together: bounds the memory of the (block, items) table of touched items.


@dataclasses.dataclass(frozen=True)
class SyntheticParameters:
    """What the synthetic world is made of; the defaults are fixed, figures in the documentation rest on them.

    Args:
        users: Users; at least 1.
        items: Items; more than `max_length`, because no user touches an item twice, and at least `categories`.
        seed: Seed of the world and of the log; not negative.
        categories: Item categories, of equal size up to one item.
        tastes: Taste classes of users.
        epochs: Seasons of item popularity.
        min_length: Shortest history, in events.
        max_length: Longest history, in events; lengths are uniform between the two.
        zipf: Exponent of the popularity of items within their category.
        drift: Standard deviation of the change of an item's log popularity from one epoch to the next.
        category_skew: Standard deviation of the log attraction of categories to everybody.
        taste_strength: Standard deviation of the log attraction of categories to a taste.
        transition_strength: Standard deviation of the log attraction of categories after a category.
        follow: Probability that an event tries to take a sequel of a recent item.
        lag_weights: Probabilities that the sequel is one of the last item, the last but one, ...; they sum to 1.
        sequel_weights: Probabilities of an item's sequels, by rank; they sum to 1.
        taste_switch: Probability that the taste is drawn anew between two events.
        epoch_advance: Probability that the epoch moves on between two events.

    Raises:
        ConfigError: A value is out of its range.
    """

    users: int = 3200
    items: int = 400
    seed: int = 0
    categories: int = 20
    tastes: int = 6
    epochs: int = 4
    min_length: int = 10
    max_length: int = 50
    zipf: float = 1.0
    drift: float = 0.2
    category_skew: float = 0.3
    taste_strength: float = 3.0
    transition_strength: float = 0.6
    follow: float = 0.12
    lag_weights: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    sequel_weights: tuple[float, ...] = (0.5, 0.5)
    taste_switch: float = 0.01
    epoch_advance: float = 0.05

    def __post_init__(self) -> None:
        for name in ("users", "items", "categories", "tastes", "epochs", "min_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"synth: {name} is {getattr(self, name)}; give at least 1")
        if self.seed < 0:
            raise ConfigError(f"synth: seed is {self.seed}; give 0 or more")
        if self.max_length < self.min_length:
            raise ConfigError(f"synth: max_length {self.max_length} is below min_length {self.min_length}; raise it")
        if self.items <= self.max_length:
            raise ConfigError(
                f"synth: {self.items} items are too few for histories of up to {self.max_length} events without "
                f"repeats; give at least {self.max_length + 1} items or lower max_length"
            )
        if self.items < self.categories:
            raise ConfigError(
                f"synth: {self.items} items cannot fill {self.categories} categories; give at least as many items"
            )
        for name in ("follow", "taste_switch", "epoch_advance"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"synth: {name} is {getattr(self, name)}; a probability lies between 0 and 1")
        for name in ("zipf", "drift", "category_skew", "taste_strength", "transition_strength"):
            if not 0.0 <= getattr(self, name) <= 10.0:
                raise ConfigError(f"synth: {name} is {getattr(self, name)}; give a value between 0 and 10")
        for name in ("lag_weights", "sequel_weights"):
            weights = np.asarray(getattr(self, name), np.float64)
            if not weights.size or not (weights >= 0.0).all() or abs(weights.sum() - 1.0) > 1e-9:
                raise ConfigError(f"synth: {name} is {getattr(self, name)}; give probabilities that sum to 1")


@dataclasses.dataclass(frozen=True)
class SyntheticWorld:
    """The tables of one world; item i has the raw id `i000000 + i` and its number says nothing about the item.

    Args:
        parameters: What the world was drawn from.
        category: int64 (items,), category of an item.
        members: int64 (categories, widest), items of a category, padded with `NO_ITEM`.
        popularity: float64 (epochs, items), positive weights within a category.
        taste_affinity: float64 (tastes, categories), log attraction of a category to a taste.
        attraction: float64 (tastes, categories + 1, categories), positive attraction of a category given the taste and
            the category of the previous item; the last row is for a first event.
        sequels: int64 (items, sequels), sequels of an item, never the item itself.
        taste_start: float64 (tastes,); taste_move: float64 (tastes, tastes), rows sum to 1.
        epoch_start: float64 (epochs,); epoch_move: float64 (epochs, epochs), rows sum to 1.
    """

    parameters: SyntheticParameters
    category: Ints
    members: Ints
    popularity: Floats
    taste_affinity: Floats
    attraction: Floats
    sequels: Ints
    taste_start: Floats
    taste_move: Floats
    epoch_start: Floats
    epoch_move: Floats


class SyntheticLog(NamedTuple):
    """Histories of all users, one a row, oldest first; places from `lengths` on hold `NO_ITEM` or 0.

    Args:
        items: int64 (users, max_length).
        lengths: int64 (users,).
        times: int64 (users, max_length), seconds since 1970, strictly increasing within a user.
        ratings: int64 (users, max_length), 1 to 5.
        tastes: int64 (users, max_length), the hidden taste at each event.
        epochs: int64 (users, max_length), the hidden epoch at each event.
    """

    items: Ints
    lengths: Ints
    times: Ints
    ratings: Ints
    tastes: Ints
    epochs: Ints


def make_world(parameters: SyntheticParameters) -> SyntheticWorld:
    """Draws the tables of a world.

    Args:
        parameters: What to draw; the same parameters give the same world.

    Returns:
        The world.
    """
    p = parameters
    rng = np.random.Generator(np.random.PCG64([p.seed, 0]))
    order = rng.permutation(p.items)
    members = np.full((p.categories, -(-p.items // p.categories)), NO_ITEM, np.int64)
    members.T.flat[: p.items] = order  # Dealt like cards: a row of `members.T` is one rank of every category.
    category, rank = np.empty(p.items, np.int64), np.empty(p.items, np.int64)
    category[order] = np.arange(p.items) % p.categories
    rank[order] = np.arange(p.items) // p.categories
    trend = rng.standard_normal(p.items)
    season = np.arange(p.epochs, dtype=np.float64)[:, None] - (p.epochs - 1) / 2
    affinity = p.taste_strength * rng.standard_normal((p.tastes, p.categories))
    after = p.transition_strength * rng.standard_normal((p.categories + 1, p.categories))
    after[p.categories] = 0.0
    skew = p.category_skew * rng.standard_normal(p.categories)
    attraction = np.exp(skew + affinity[:, None, :] + after[None, :, :])
    # Series: runs of a random order of all items; sequel s stands s places on, and the run closes to a ring.
    series = rng.permutation(p.items)
    size = len(p.sequel_weights) + 1
    sequels = np.empty((p.items, size - 1), np.int64)
    for start in range(0, p.items, size):
        run = series[start : start + size]
        for column in range(size - 1):
            sequels[run, column] = np.roll(run, -column - 1)
    epoch_move = np.eye(p.epochs) * (1.0 - p.epoch_advance) + np.eye(p.epochs, k=1) * p.epoch_advance
    epoch_move[-1, -1] = 1.0
    return SyntheticWorld(
        parameters=p,
        category=category,
        members=members,
        popularity=np.power(rank + 1.0, -p.zipf) * np.exp(p.drift * season * trend),
        taste_affinity=affinity,
        attraction=attraction,
        sequels=sequels,
        taste_start=np.full(p.tastes, 1.0 / p.tastes),
        taste_move=np.eye(p.tastes) * (1.0 - p.taste_switch) + p.taste_switch / p.tastes,
        epoch_start=np.full(p.epochs, 1.0 / p.epochs),
        epoch_move=epoch_move,
    )


def untouched_popularity(world: SyntheticWorld, category: Ints, touched: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """Gives each user the items of one category that are left to browse.

    Args:
        world: The process.
        category: int64 (users,), the category to look at.
        touched: bool (users, items).

    Returns:
        The category's items, int64 (users, widest), `NO_ITEM` where there are fewer; and their popularity in each
        epoch, float64 (epochs, users, widest), 0 for touched ones and for `NO_ITEM`.
    """
    members = world.members[category]
    open_ = (members != NO_ITEM) & ~np.take_along_axis(touched, members, axis=1)
    return members, world.popularity[:, members] * open_


def initial_mass(world: SyntheticWorld, users: int) -> Floats:
    """Gives the popularity of whole categories before anything is touched, float64 (users, epochs, categories)."""
    none_touched = np.zeros((len(world.members), len(world.category)), np.bool_)
    mass = untouched_popularity(world, np.arange(len(world.members)), none_touched)[1].sum(axis=-1)
    return np.tile(mass, (users, 1, 1))


def _draw(rng: np.random.Generator, weights: Floats) -> Ints:
    """Draws a column for each row of non-negative weights (rows, columns) with a positive sum."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    # Rounding may lift u * total to total, beyond which there is no column: stay just below.
    threshold = np.minimum(rng.random((len(weights), 1)) * total, np.nextafter(total, 0.0))
    return (cumulative <= threshold).sum(axis=1)


def _draw_items(world: SyntheticWorld, rng: np.random.Generator, lengths: Ints, tastes: Ints, epochs: Ints) -> Ints:
    """Draws the items of a block of users, int64 (block, max_length), given the hidden states of all their events."""
    p = world.parameters
    history = np.full(tastes.shape, NO_ITEM, np.int64)
    touched = np.zeros((len(lengths), p.items), np.bool_)
    mass = initial_mass(world, len(lengths))
    lags, ranks = len(p.lag_weights), len(p.sequel_weights)
    for step in range(p.max_length):
        rows = np.flatnonzero(lengths > step)
        if not rows.size:
            break
        previous = world.category[history[rows, step - 1]] if step else np.full(rows.size, p.categories)
        season = epochs[rows, step]
        category = _draw(rng, world.attraction[tastes[rows, step], previous] * mass[rows, season])
        members, weights = untouched_popularity(world, category, touched[rows])
        chosen = members[np.arange(rows.size), _draw(rng, weights[season, np.arange(rows.size)])]

        lag = 1 + _draw(rng, np.tile(p.lag_weights, (rows.size, 1)).reshape(rows.size, lags))
        rank = _draw(rng, np.tile(p.sequel_weights, (rows.size, 1)).reshape(rows.size, ranks))
        source = history[rows, np.maximum(step - lag, 0)]
        sequel = world.sequels[source, rank]
        follows = (rng.random(rows.size) < p.follow) & (lag <= step) & ~touched[rows, sequel]
        chosen = np.where(follows, sequel, chosen)

        history[rows, step] = chosen
        touched[rows, chosen] = True
        category = world.category[chosen]
        mass[rows, :, category] = untouched_popularity(world, category, touched[rows])[1].sum(axis=-1).T
    return history


def sample_log(world: SyntheticWorld) -> SyntheticLog:
    """Draws the histories of all users of a world.

    Args:
        world: The process to draw from; its parameters hold the number of users and the seed.

    Returns:
        The log with its hidden states.
    """
    p = world.parameters
    rng = np.random.Generator(np.random.PCG64([p.seed, 1]))
    shape = (p.users, p.max_length)
    lengths = rng.integers(p.min_length, p.max_length, size=p.users, endpoint=True)
    tastes, epochs = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for step in range(p.max_length):
        tastes[:, step] = _draw(
            rng, world.taste_move[tastes[:, step - 1]] if step else np.tile(world.taste_start, (p.users, 1))
        )
        epochs[:, step] = _draw(
            rng, world.epoch_move[epochs[:, step - 1]] if step else np.tile(world.epoch_start, (p.users, 1))
        )
    items = np.concatenate(
        [
            _draw_items(world, rng, lengths[at : at + _BLOCK], tastes[at : at + _BLOCK], epochs[at : at + _BLOCK])
            for at in range(0, p.users, _BLOCK)
        ]
    )
    present = items != NO_ITEM
    # Sorted moments of the epoch plus the event's number: strictly increasing, and never beyond the epoch's end.
    moments = epochs * EPOCH_SECONDS + rng.integers(EPOCH_SECONDS - p.max_length, size=shape)
    times = FIRST_SECOND + np.sort(moments, axis=1) + np.arange(p.max_length)
    liking = world.taste_affinity[tastes, world.category[items]] / max(p.taste_strength, 1e-9)
    ratings = np.clip(np.rint(3.0 + 0.7 * liking + 0.7 * rng.standard_normal(shape)), 1, 5).astype(np.int64)
    return SyntheticLog(
        items=items,
        lengths=lengths,
        times=np.where(present, times, 0),
        ratings=np.where(present, ratings, 0),
        tastes=np.where(present, tastes, 0),
        epochs=np.where(present, epochs, 0),
    )

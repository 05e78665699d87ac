"""The best possible next-item predictor of a synthetic world, and the popularity baseline beside it.

The predictor sees what a sequence model sees: the items of a history in order, with neither times nor the user's
attributes. Given those, the hidden (taste, epoch) is a Markov chain whose emission probabilities are all known, so a
forward filter over tastes x epochs states gives the exact distribution of the next item; to rank by it is optimal.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tfrec_zoo.data.synthetic_world import (
    Floats,
    Ints,
    SyntheticLog,
    SyntheticWorld,
    initial_mass,
    untouched_popularity,
)

_USERS_AT_A_TIME = 512  # Bounds the (users, items) tables.
_MIN_EVENTS = 3  # Leave-one-out: users with fewer events are train-only.


@dataclasses.dataclass(frozen=True)
class RankingFigures:
    """Leave-one-out figures over users, with standard errors over users.

    Args:
        ndcg_at_10: Mean NDCG@10.
        ndcg_at_10_se: Its standard error.
        hr_at_10: Mean hit rate at 10.
        hr_at_10_se: Its standard error.
    """

    ndcg_at_10: float
    ndcg_at_10_se: float
    hr_at_10: float
    hr_at_10_se: float


def _sequel_probability(world: SyntheticWorld, history: Ints, step: int, touched: NDArray[np.bool_]) -> Floats:
    """Probability (users, items) that event `step` follows and takes the item; the rest of 1 is left to browsing."""
    p = world.parameters
    users = np.arange(len(history))
    table = np.zeros(touched.shape)
    for lag, lag_weight in enumerate(p.lag_weights, start=1):
        if lag > step:
            break
        for rank, rank_weight in enumerate(p.sequel_weights):
            table[users, world.sequels[history[:, step - lag], rank]] += p.follow * lag_weight * rank_weight
    return np.where(touched, 0.0, table)


def _attraction(world: SyntheticWorld, history: Ints, step: int) -> Floats:
    """Attraction (users, tastes, categories) of categories to event `step`."""
    first = world.parameters.categories
    previous = world.category[history[:, step - 1]] if step else np.full(len(history), first)
    return world.attraction[:, previous, :].transpose(1, 0, 2)


def forward_filter(world: SyntheticWorld, history: Ints) -> tuple[Floats, Floats]:
    """Filters the hidden states of users whose histories have the same length.

    Args:
        world: The process.
        history: int64 (users, length), oldest first, without repeats.

    Returns:
        The distribution of the hidden state at the event that comes next, float64 (users, tastes, epochs), and the
        natural logarithm of the probability of each event given those before it, float64 (users, length).
    """
    n, length = history.shape
    users = np.arange(n)
    touched = np.zeros((n, world.parameters.items), np.bool_)
    mass = initial_mass(world, n)
    belief = np.tile(world.taste_start[:, None] * world.epoch_start, (n, 1, 1))
    log_likelihood = np.empty((n, length))
    for step in range(length):
        item = history[:, step]
        category = world.category[item]
        follows = _sequel_probability(world, history, step, touched)
        attraction = _attraction(world, history, step)
        total = attraction @ mass.transpose(0, 2, 1)  # (users, tastes, epochs): attraction times popularity, untouched.
        browse = attraction[users, :, category][:, :, None] * world.popularity[:, item].T[:, None, :] / total
        emission = follows[users, item][:, None, None] + (1.0 - follows.sum(axis=1))[:, None, None] * browse
        belief = belief * emission
        probability = belief.sum(axis=(1, 2))
        log_likelihood[:, step] = np.log(probability)
        belief = world.taste_move.T @ (belief / probability[:, None, None]) @ world.epoch_move
        touched[users, item] = True
        mass[users, :, category] = untouched_popularity(world, category, touched)[1].sum(axis=-1).T
    return belief, log_likelihood


def predict_next(world: SyntheticWorld, history: Ints) -> Floats:
    """Gives the exact distribution of the next item after histories of the same length.

    Args:
        world: The process.
        history: int64 (users, length), oldest first, without repeats; shorter than the catalogue.

    Returns:
        float64 (users, items): rows sum to 1, items of the history have probability 0.
    """
    n, length = history.shape
    belief, _ = forward_filter(world, history)
    touched = np.zeros((n, world.parameters.items), np.bool_)
    np.put_along_axis(touched, history, True, axis=1)
    follows = _sequel_probability(world, history, length, touched)
    attraction = _attraction(world, history, length)
    left = np.where(touched[:, None, :], 0.0, world.popularity)
    mass = left @ np.eye(world.parameters.categories)[world.category]
    # The state matters through (epoch, category) alone: tastes are summed out before the wide table of items is built.
    share = np.einsum("uke,ukc->uec", belief / (attraction @ mass.transpose(0, 2, 1)), attraction)
    browse = (left * share[:, :, world.category]).sum(axis=1)
    return follows + (1.0 - follows.sum(axis=1, keepdims=True)) * browse


def target_ranks(scores: Floats, target: Ints, touched: NDArray[np.bool_]) -> Floats:
    """Ranks targets among the items that the user has not touched.

    Args:
        scores: float64 (users, items).
        target: int64 (users,).
        touched: bool (users, items), items to leave out.

    Returns:
        float64 (users,), from 1; a tie counts half.
    """
    own = np.take_along_axis(scores, target[:, None], axis=1)
    above = ((scores > own) & ~touched).sum(axis=1)
    tied = ((scores == own) & ~touched).sum(axis=1) - 1
    return 1.0 + above + 0.5 * tied


def ranking_figures(ranks: Floats) -> RankingFigures:
    """Averages NDCG@10 and HR@10 of one target a user.

    Args:
        ranks: float64 (users,), from 1.

    Returns:
        The figures; NaN when there is no user.
    """
    hits = (ranks <= 10.0).astype(np.float64)
    gains = hits / np.log2(ranks + 1.0)
    if not ranks.size:
        return RankingFigures(*[float("nan")] * 4)
    root = np.sqrt(ranks.size)
    return RankingFigures(float(gains.mean()), float(gains.std() / root), float(hits.mean()), float(hits.std() / root))


def leave_one_out_ranks(world: SyntheticWorld, log: SyntheticLog) -> tuple[Floats, Floats]:
    """Ranks the last event of each user with 3 or more events by the best possible predictor and by popularity.

    Popularity counts the train part: all events but the last two of such a user, all events of the others.

    Args:
        world: The process that the predictor believes in; the log's own for the best possible.
        log: The log.

    Returns:
        The ranks of both, float64 (users with a target,), from 1, users by ascending length and then by number.
    """
    place = np.arange(log.items.shape[1])
    train_events = np.where(log.lengths >= _MIN_EVENTS, log.lengths - 2, log.lengths)
    counts = np.bincount(log.items[place < train_events[:, None]], minlength=world.parameters.items)
    best, popular = [np.empty(0)], [np.empty(0)]
    for length in np.unique(log.lengths[log.lengths >= _MIN_EVENTS]):
        users = np.flatnonzero(log.lengths == length)
        for at in range(0, users.size, _USERS_AT_A_TIME):
            rows = log.items[users[at : at + _USERS_AT_A_TIME], :length]
            history, target = rows[:, :-1], rows[:, -1]
            touched = np.zeros((len(rows), world.parameters.items), np.bool_)
            np.put_along_axis(touched, history, True, axis=1)
            best.append(target_ranks(predict_next(world, history), target, touched))
            popular.append(target_ranks(np.tile(counts.astype(np.float64), (len(rows), 1)), target, touched))
    return np.concatenate(best), np.concatenate(popular)

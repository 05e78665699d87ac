"""Signatures `generate` and `generate_filtered`: raw history in, how it may go on and the items that come often out."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.signature import Tensors, texts
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import best
from tfrec_zoo.models.continuations import Draws, rank_by_continuations
from tfrec_zoo.preprocessing.seen import leave_out

INPUTS = {
    "history": texts(),
    "n": tf.TensorSpec((None,), tf.int64),
    "length": tf.TensorSpec((None,), tf.int64),
    "temperature": tf.TensorSpec((None,), tf.float32),
    "seed": tf.TensorSpec((None,), tf.int64),
}
"""Of `generate`."""

FILTERED_INPUTS = {
    **INPUTS,
    "top_p": tf.TensorSpec((None,), tf.float32),
    "no_repeats": tf.TensorSpec((None,), tf.bool),
}
"""Of `generate_filtered`."""


@dataclasses.dataclass(frozen=True)
class GenerationLimits:
    """The most that a request may ask for, and the size of every answer: a server joins the answers of a batch.

    Attributes:
        max_n: Continuations.
        max_length: Items of each.

    Raises:
        ExportError: One is below 1.
    """

    max_n: int = 32
    max_length: int = 20

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ExportError(f"--{name.replace('_', '-')} is {value}; it must be at least 1.")


def generate(scorer: CatalogueScorer, given: Tensors, limits: GenerationLimits, max_k: int) -> dict[str, tf.Tensor]:
    """Draws continuations of histories, and ranks items by how often and how early they come in them.

    A row's answer depends on its own inputs alone. Where nothing of a history is known, the first item is drawn by
    popularity.

    Args:
        scorer: The model, which generates.
        given: `history` string (batch, m), raw item ids, oldest first, "" where there is nothing, unknown ones are
            ignored; `n` and `length` int64 (batch,); `temperature` float32 (batch,), 0 takes the likeliest item;
            `seed` int64 (batch,). Perhaps `top_p` float32 (batch,), the share of the probability that is drawn from;
            and `no_repeats` bool (batch,), to write no item of the history and none twice.
        limits: Of `n` and `length`.
        max_k: Columns of the ranking.

    Returns:
        continuations: string (batch, max_n, max_length), raw ids; "" beyond a row's n and length, and where no item is
            left.
        item_ids: string (batch, max_k), and scores: float32 (batch, max_k), the unseen items ranked by the
            continuations, see `rank_by_continuations`; fallback: bool (batch,). In the form of `recommend`.

    Raises:
        tf.errors.InvalidArgumentError: A value out of its range.
    """
    draws = Draws(**{name: value for name, value in given.items() if name != "history"})
    with tf.control_dependencies(_checks(draws, limits)):
        known = scorer.vocabulary.ids(given["history"])
    scores, fallback = scorer(known), scorer.fallback(known)
    item_ids = scorer.write_on(known, draws, scores)
    ranking = leave_out(rank_by_continuations(item_ids, scores), known)
    missing = [limits.max_n - tf.shape(item_ids)[1], limits.max_length - tf.shape(item_ids)[2]]
    padded = tf.pad(item_ids, [[0, 0], [0, missing[0]], [0, missing[1]]])
    raw_ids = tf.where(padded >= FIRST_ITEM_ID, scorer.vocabulary.raw_ids(padded), "")
    return {
        "continuations": tf.ensure_shape(raw_ids, (None, limits.max_n, limits.max_length)),
        **best(scorer.vocabulary, ranking, fallback, max_k),
    }


def _checks(draws: Draws, limits: GenerationLimits) -> list[tf.Operation]:
    """Assertions that every row is within its range; NaN is in none."""

    def check(fits: tf.Tensor, message: str, value: tf.Tensor) -> tf.Operation:
        return tf.debugging.Assert(tf.reduce_all(fits), [message, tf.boolean_mask(value, ~fits)])

    n, length, temperature, top_p = draws.n, draws.length, draws.temperature, draws.top_p
    checks = [
        check((n >= 1) & (n <= limits.max_n), f"n is from 1 to {limits.max_n} in this version, not", n),
        check(
            (length >= 1) & (length <= limits.max_length),
            f"length is from 1 to {limits.max_length} in this version, not",
            length,
        ),
        check(
            (temperature >= 0) & (temperature < float("inf")),
            "temperature is 0 (the likeliest item) or a positive number, not",
            temperature,
        ),
    ]
    if top_p is not None:
        checks.append(check((top_p > 0) & (top_p <= 1), "top_p is above 0 and at most 1, not", top_p))
    return checks

"""Continuations: how histories may go on, drawn from a generator, and the ranking of items that they make."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.preprocessing.seen import leave_out
from tfrec_zoo.samplers.categorical import check_temperature
from tfrec_zoo.samplers.nucleus import draw_rows, gumbel_noise, nucleus


@dataclasses.dataclass(frozen=True)
class Draws:
    """What is to be written on each history of a batch; a row's continuations depend on its own values alone.

    Attributes:
        n: int64 (batch,), continuations, at least 1.
        length: int64 (batch,), items of each, at least 1.
        temperature: float32 (batch,), finite and not negative; 0 takes the likeliest item.
        seed: int64 (batch,); equal seeds write alike.
        top_p: float32 (batch,), above 0 and at most 1: draw from the nucleus of this share; None: from all items.
        no_repeats: bool (batch,), whether to write neither an item of the history nor one twice; None: repeats may be.
    """

    n: tf.Tensor
    length: tf.Tensor
    temperature: tf.Tensor
    seed: tf.Tensor
    top_p: tf.Tensor | None = None
    no_repeats: tf.Tensor | None = None

    @classmethod
    def alike(
        cls,
        history: tf.Tensor,
        n: int,
        length: int,
        seed: tf.Tensor | int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        no_repeats: bool = False,
    ) -> Draws:
        """The same for every row of a batch of histories, but for the seeds: int64 (batch,), or one for all.

        Raises:
            ConfigError: A value out of its range.
        """
        if n < 1 or length < 1:
            raise ConfigError(f"at least 1 continuation of at least 1 item can be written, not n {n}, length {length}.")
        check_temperature(temperature)
        if not 0 < top_p <= 1:
            raise ConfigError(f"top_p is a share of the probability above 0 and at most 1, not {top_p}.")
        rows = tf.shape(history)[:1]
        return cls(
            n=tf.fill(rows, tf.constant(n, tf.int64)),
            length=tf.fill(rows, tf.constant(length, tf.int64)),
            temperature=tf.fill(rows, float(temperature)),
            seed=tf.broadcast_to(tf.cast(seed, tf.int64), rows),
            top_p=tf.fill(rows, float(top_p)) if top_p < 1 else None,
            no_repeats=tf.fill(rows, True) if no_repeats else None,
        )

    def each(self) -> tuple[tf.Tensor, Draws, tf.Tensor]:
        """One row a continuation instead of one a history.

        Returns:
            int32 (rows,), the history of each; its values; int64 (rows,), its number among those of its history.
        """
        owner = tf.repeat(tf.range(tf.shape(self.n)[0]), self.n)
        values = {name: None if value is None else tf.gather(value, owner) for name, value in vars(self).items()}
        return owner, Draws(**values), tf.ragged.range(self.n).flat_values


def write_on(
    generator: LSTMGenerator, history: tf.Tensor, seen: tf.Tensor, draws: Draws, first: tf.Tensor | None = None
) -> tf.Tensor:
    """Draws continuations, all at once in one loop over their places.

    Args:
        generator: Reads the history and writes on.
        history: int32 (batch, length), right-aligned, of static length.
        seen: int32 (batch, n), what `no_repeats` leaves out beside what is written.
        draws: What to draw.
        first: float32 (batch, catalog_size), logits of the first items; default: what the generator expects after the
            history, of an empty one too.

    Returns:
        int32 (batch, largest n, largest length), PAD beyond a row's own n and length, and where no item is left.
    """
    owner, each, number = draws.each()
    output, cell = generator.state_after(history)
    if first is None:
        first = generator.projection(output)
    steps = tf.reduce_max(tf.concat([[1], tf.cast(draws.length, tf.int32)], axis=0))
    barred = tf.zeros((tf.shape(owner)[0], 1))
    if draws.no_repeats is not None:
        kept = tf.where(draws.no_repeats[:, None], seen, PAD)
        barred = tf.gather(leave_out(tf.zeros_like(first), kept), owner)

    def step(place: tf.Tensor, logits: tf.Tensor, state: Any, barred: tf.Tensor, written: Any) -> tuple[Any, ...]:
        allowed = logits + barred
        if each.top_p is not None:
            allowed = nucleus(allowed, each.temperature, each.top_p)
        # A seed of its own for every draw: what other rows ask for changes none.
        seeds = tf.stack([each.seed, number * 2**32 + tf.cast(place, tf.int64)], axis=1)
        columns = draw_rows(allowed, each.temperature, gumbel_noise(seeds, generator.catalog_size))
        goes_on = (columns >= 0) & (tf.cast(place, each.length.dtype) < each.length)
        item_ids = tf.where(goes_on, columns + FIRST_ITEM_ID, PAD)
        if each.no_repeats is not None:
            barred = leave_out(barred, tf.where(each.no_repeats, item_ids, PAD)[:, None])
        state = generator.advance(item_ids, state)
        return place + 1, generator.projection(state[0]), state, barred, written.write(place, item_ids)

    state = tf.gather(output, owner), tf.gather(cell, owner)
    written = tf.TensorArray(tf.int32, size=steps, element_shape=(None,))
    *_, written = tf.while_loop(
        lambda place, *_: place < steps,
        step,
        (0, tf.gather(first, owner), state, barred, written),
        parallel_iterations=1,
    )
    return tf.RaggedTensor.from_row_lengths(tf.transpose(written.stack()), draws.n).to_tensor(PAD)


def rank_by_continuations(continuations: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Scores items by how often and how early they come in continuations.

    A continuation gives an item 1 / log2(1 + place), as DCG does, at the first place where it stands, and the score is
    the mean over the continuations; the softmax of the next item counts as one more of length 1. So the score is the
    DCG that the item is expected to bring, and items that the draws leave equal are in the order of the model.

    Args:
        continuations: int32 (batch, n, length), PAD where there is nothing.
        logits: float32 (batch, catalogue), of the next item.

    Returns:
        float32 (batch, catalogue), from 0 to 1.
    """
    places, catalogue = tf.shape(continuations)[2], tf.shape(logits)[1]
    equal = continuations[:, :, :, None] == continuations[:, :, None, :]
    earlier = tf.linalg.band_part(tf.ones((places, places), tf.bool), -1, 0) & ~tf.eye(places, dtype=tf.bool)
    counts = (continuations >= FIRST_ITEM_ID) & ~tf.reduce_any(equal & earlier, axis=3)
    gains = tf.math.log(2.0) / tf.math.log(tf.range(2.0, tf.cast(places, tf.float32) + 2.0))
    row, number, place = tf.unstack(tf.where(counts), axis=1)
    columns = tf.gather_nd(continuations, tf.stack([row, number, place], axis=1)) - FIRST_ITEM_ID
    where = tf.stack([tf.cast(row, tf.int32), columns], axis=1)
    total = tf.scatter_nd(where, tf.gather(gains, place), tf.stack([tf.shape(logits)[0], catalogue]))
    written = tf.reduce_sum(tf.cast(tf.reduce_any(counts, axis=2), tf.float32), axis=1)
    return (total + tf.nn.softmax(logits)) / (written[:, None] + 1.0)

"""Fake histories: the beginning of a real one, gaps in it filled anew, and a generator's continuation of that.

After Yu et al.'s sequence generator and the pre-training of click predictors on its histories:

    real history        a b c d e f g h
    its beginning       a b c d             `prefix` of it conditions the generator
    gaps filled         a X c d             where there is a gap filler: a share of the items, drawn from both sides
    written on          a X c d P Q R S     by the generator, item by item
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrec_zoo.augmentation.gap_filling import GapFiller
from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD, DatasetSpec, FeatureSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.continuations import Draws
from tfrec_zoo.models.recommender import GENERATES, Recommender
from tfrec_zoo.samplers.categorical import check_temperature

MOST_COPIES, LONGEST = 32, 1000
"""Limits of `share` and `length`."""

_BATCH = 256
_COPIES, _GAPS = 1, 2
"""What numbers are drawn for, beside the seed; others: fake_rows.py, data/shard_writer.py."""

_VIEW = "sequences"
_FEATURES = {
    "user": FeatureSpec("bytes", (1,)),
    "items": FeatureSpec("int64", (-1,)),
    "times": FeatureSpec("int64", (-1,)),
}


@dataclasses.dataclass(frozen=True)
class AugmentationOptions:
    """How fake histories are made.

    Attributes:
        share: Fake histories for each real one, at most `MOST_COPIES`; below 1, so many of the real ones have one.
        prefix: Share of a real history that a fake one begins with.
        length: Items that are written on it, at most `LONGEST`; None: as many as the real one has there.
        gap_share: Share of the beginning's items that a gap filler draws anew.
        temperature: Of both networks' softmax; 0 takes the likeliest item.
        top_p: Both draw from the likeliest items that have this share of the probability.
        no_repeats: No item comes twice in a fake history.
        seed: Of every random choice.

    Raises:
        ConfigError: A value out of its range.
    """

    share: float = 1.0
    prefix: float = 0.5
    length: int | None = None
    gap_share: float = 0.3
    temperature: float = 1.0
    top_p: float = 1.0
    no_repeats: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= MOST_COPIES:
            raise ConfigError(f"share is {self.share:g}; a real history has above 0 and up to {MOST_COPIES} fake ones.")
        if not 0 <= self.prefix < 1:
            raise ConfigError(f"prefix is {self.prefix:g}; it is a share of the real history from 0 to below 1.")
        if self.length is not None and not 1 <= self.length <= LONGEST:
            raise ConfigError(f"length is {self.length}; a fake history has from 1 to {LONGEST} written items.")
        if not 0 < self.gap_share <= 1:
            raise ConfigError(f"gap_share is {self.gap_share:g}; it is a share of the items above 0 and up to 1.")
        check_temperature(self.temperature)
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p:g}; it is a share of the probability above 0 and up to 1.")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed is {self.seed}; it is a number from 0 to {2**31 - 1}.")


@dataclasses.dataclass(frozen=True)
class Beginning:
    """A real history, and how much of it a fake one takes.

    Attributes:
        number: Of the fake history, from 0.
        user: Raw id of the real user.
        items: int64 (n,), the real history, known items, oldest first.
        times: int64 (n,), of the items.
        kept: Items that the fake history begins with.
    """

    number: int
    user: bytes
    items: np.ndarray
    times: np.ndarray
    kept: int


@dataclasses.dataclass(frozen=True)
class FakeHistory:
    """A fake history and the real one that it comes of.

    Attributes:
        real: The real one.
        items: int64 (m,), oldest first.
        times: int64 (m,): those of the real history at the same places; beyond its end, its last.
        made: bool (m,), which items the user did not touch there.
    """

    real: Beginning
    items: np.ndarray
    times: np.ndarray
    made: np.ndarray


class HistoryForger:
    """Makes fake histories of a dataset's train records.

    Args:
        spec: The dataset, with the view `sequences`.
        generator: It generates.
        filler: Fills the gaps; None: the beginnings stay as they are.
        options: How.

    Raises:
        ConfigError: The model generates nothing.
        DataError: The dataset has no train histories.
    """

    def __init__(
        self, spec: DatasetSpec, generator: Recommender, filler: GapFiller | None, options: AugmentationOptions
    ) -> None:
        if GENERATES not in generator.capabilities:
            raise ConfigError(
                f"a {generator.name_in_zoo} generates no histories: give the run of one that does, such as "
                "`tfrec train seqgan`."
            )
        self._spec, self._options = spec, options
        self._shards = spec.paths(_VIEW, "train")
        self._filler = filler

        def write_on(history: tf.Tensor, length: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
            o = options
            alike = Draws.alike(history, 1, 1, seeds, o.temperature, o.top_p, o.no_repeats)
            return generator.write_on(history, dataclasses.replace(alike, length=length))[:, 0]

        history, seeds = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int64)
        self._write_on = tf.function(write_on, input_signature=[history, seeds, seeds])
        if filler:
            gaps = tf.TensorSpec((None, None), tf.bool)
            self._fill = tf.function(filler.fill, input_signature=[history, gaps, seeds])

    def __iter__(self) -> Iterator[FakeHistory]:
        """The fake histories, in the order of the real ones: the same for the same seed."""
        beginnings = self._beginnings()
        while some := list(itertools.islice(beginnings, _BATCH)):
            yield from self._forge(some)

    def _beginnings(self) -> Iterator[Beginning]:
        numbers = itertools.count()
        serialized = records.fixed_parallelism(records.read(self._shards).batch(_BATCH))
        for batch, several in enumerate(records.explained(serialized, self._spec)):
            row = records.parse(several, _FEATURES)
            users = row["user"].numpy()
            draws = np.random.default_rng([self._options.seed, _COPIES, batch]).random(len(users))
            # 2.3 are two of each, and a third of three in ten.
            copies = np.floor(self._options.share + draws).astype(int)
            for place, user in enumerate(users):
                items, times = row["items"][place].numpy(), row["times"][place].numpy()
                known = items >= FIRST_ITEM_ID
                for _ in range(copies[place] if known.any() else 0):
                    kept = int(self._options.prefix * known.sum())
                    yield Beginning(next(numbers), user, items[known], times[known], kept)

    def _forge(self, some: list[Beginning]) -> Iterator[FakeHistory]:
        seeds = np.array([(self._options.seed << 32) + each.number for each in some], np.int64)
        width = max(1, max(each.kept for each in some))
        history = np.full((len(some), width), PAD, np.int32)
        for row, each in enumerate(some):
            if each.kept:
                history[row, -each.kept :] = each.items[: each.kept]
        if self._filler:
            draws = np.random.default_rng([self._options.seed, _GAPS, some[0].number]).random(history.shape)
            gaps = (draws < self._options.gap_share) & (history != PAD)
            history = self._fill(history, gaps, seeds).numpy()
        lengths = np.array([self._options.length or len(each.items) - each.kept for each in some], np.int64)
        written = self._write_on(history, lengths, seeds).numpy()
        for row, each in enumerate(some):
            beginning = history[row, width - each.kept :]
            items = np.concatenate([beginning, written[row][written[row] >= FIRST_ITEM_ID]]).astype(np.int64)
            made = np.ones(len(items), bool)
            made[: each.kept] = beginning != each.items[: each.kept]  # a gap may get its own item back
            times = each.times[np.minimum(np.arange(len(items)), len(each.times) - 1)]
            yield FakeHistory(each, items, times, made)

"""How varied fake histories are beside the real ones: a collapsed generator teaches others what it writes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.augmentation.fake_histories import FakeHistory
from tfrec_zoo.metrics import generation

_MOST_PAIRS = 1_000_000


class Variety:
    """Collects pairs of neighbours: in fake histories those that end in a made item, in the real ones all.

    The first million of each counts, as many of the one as of the other, since the share of different ones falls with
    their number.
    """

    def __init__(self) -> None:
        self._made: list[np.ndarray] = []
        self._real: list[np.ndarray] = []
        self._pairs = 0

    def add(self, history: FakeHistory) -> None:
        """Takes one fake history, and the real one that it comes of."""
        if self._pairs >= _MOST_PAIRS:
            return
        made = _neighbours(history.items)[history.made[1:]]
        self._made.append(made)
        self._real.append(_neighbours(history.real.items))
        self._pairs += len(made)

    def figures(self) -> dict[str, float]:
        """distinct_2 and entropy (in nats) of both: 0 where there are no pairs."""
        made, real = (np.concatenate(pairs or [np.zeros((0, 2), np.int64)]) for pairs in (self._made, self._real))
        count = min(len(made), len(real))
        found = {}
        for name, pairs in (("", made[:count]), ("real_", real[:count])):
            found[f"{name}distinct_2"] = round(float(generation.distinct(tf.constant(pairs))), 4)
            found[f"{name}entropy"] = round(float(generation.entropy(tf.constant(pairs[:, 1:]))), 4) if count else 0.0
        return found


def warnings(figures: dict[str, float]) -> list[str]:
    """What is wrong with a generator of these figures, a line each."""
    order = ("distinct_2", "real_distinct_2", "entropy", "real_entropy")
    distinct, real_distinct, entropy, real_entropy = (figures[name] for name in order)
    if not generation.has_collapsed(distinct, real_distinct, entropy, real_entropy):
        return []
    return [
        f"the generator has collapsed: {distinct:.1%} of the pairs that it writes differ, of the real ones "
        f"{real_distinct:.1%}; the entropy of its items is {real_entropy - entropy:.2f} nats below theirs. Raise "
        "--temperature or --top-p, or train the generator again with a lower network.adversarial_weight; what is "
        "trained on these histories learns the collapse."
    ]


def _neighbours(items: np.ndarray) -> np.ndarray:
    """int64 (n - 1, 2)."""
    return np.stack([items[:-1], items[1:]], axis=1)

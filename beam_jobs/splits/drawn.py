"""Random: every event is drawn by itself. Train then holds events later than a target, which flatters any model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from beam_jobs.hashing import hash_ids, mix
from beam_jobs.histories import Histories
from beam_jobs.splits.split import Split, drawn_marks
from beam_jobs.subsampling import uniform


class Drawn(Split):
    """Events are drawn by a hash of the user's raw id and the event's place in the user's history.

    Args:
        valid_share: Expected share of the events in valid.
        test_share: Expected share of the events in test.
        seed: Another seed draws other events.
    """

    protocol = "random"

    def __init__(self, valid_share: float, test_share: float, seed: int) -> None:
        self.valid_share, self.test_share, self.seed = valid_share, test_share, seed

    def marks(self, histories: Histories) -> np.ndarray:
        lengths = np.diff(histories.offsets)
        place = np.arange(histories.events) - np.repeat(histories.offsets[:-1], lengths)
        keys = mix(np.repeat(hash_ids(histories.users), lengths)) + place.astype(np.uint64)
        drawn = uniform(keys, self.seed)
        return drawn_marks(drawn, self.valid_share, self.test_share)

    @property
    def details(self) -> Mapping[str, Any]:
        return {"valid_share": self.valid_share, "test_share": self.test_share, "seed": self.seed}

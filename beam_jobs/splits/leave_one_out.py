"""Leave-one-out: a user's last event is test, the one before it valid."""

from __future__ import annotations

import numpy as np

from beam_jobs.histories import Histories
from beam_jobs.splits.split import TEST, VALID, Split


class LeaveOneOut(Split):
    """The last event is test, the last but one valid; users with fewer than 3 events are train-only."""

    protocol = "leave-one-out"
    valid_completes_train = True

    def marks(self, histories: Histories) -> np.ndarray:
        marks = np.zeros(histories.events, np.uint8)
        ends = histories.offsets[1:][np.diff(histories.offsets) >= 3]
        marks[ends - 1] = TEST
        marks[ends - 2] = VALID
        return marks

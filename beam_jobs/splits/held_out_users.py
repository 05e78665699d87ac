"""User: whole users are held out, so that valid and test ask for people whom training has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from beam_jobs.hashing import hash_ids
from beam_jobs.histories import Histories
from beam_jobs.splits.split import Split, drawn_marks
from beam_jobs.subsampling import uniform


class HeldOutUsers(Split):
    """All events of a user have one mark, drawn by a hash of the raw id; a held-out user's last event is the target.

    Args:
        valid_share: Expected share of the users in valid.
        test_share: Expected share of the users in test.
        seed: Another seed draws other users.
    """

    protocol = "user"
    valid_completes_train = True

    def __init__(self, valid_share: float, test_share: float, seed: int) -> None:
        self.valid_share, self.test_share, self.seed = valid_share, test_share, seed

    def marks(self, histories: Histories) -> np.ndarray:
        drawn = uniform(hash_ids(histories.users), self.seed)
        of_user = drawn_marks(drawn, self.valid_share, self.test_share)
        return np.repeat(of_user, np.diff(histories.offsets))

    def targets(self, histories: Histories, marks: np.ndarray, mark: int) -> np.ndarray:
        starts, lasts = histories.offsets[:-1], histories.offsets[1:] - 1
        return lasts[(marks[lasts] == mark) & (lasts > starts)]

    @property
    def details(self) -> Mapping[str, Any]:
        return {"valid_share": self.valid_share, "test_share": self.test_share, "seed": self.seed}

"""Files: the split is the user's own. --input is train, --valid-input and --test-input are the rest."""

from __future__ import annotations

import numpy as np

from beam_jobs.histories import Histories
from beam_jobs.splits.split import Split


class ByFiles(Split):
    """An event's mark is the group of files that it came from."""

    protocol = "files"

    def marks(self, histories: Histories) -> np.ndarray:
        return histories.columns["origin"].to_numpy()

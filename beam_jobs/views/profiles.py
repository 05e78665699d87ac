"""The view `profiles`: a user's whole history, and what is to be told from it of the user, such as gender or age band.

The split is by user, whatever --split says of the log: the same users are held out as by `--split user` and
`--transfer-split user`, under the same seed and shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.histories import Histories
from beam_jobs.lookups import Lookups
from beam_jobs.splits.held_out_users import HeldOutUsers
from beam_jobs.splits.split import SPLIT_NAMES
from beam_jobs.views.view import RecordSet, View
from beam_jobs.vocabulary import look_up
from tfrec_zoo.dataset_spec import FeatureSpec
from tfrec_zoo.errors import DataError


class Profiles(View):
    """One record a user."""

    name = "profiles"

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        specs = {
            "user": FeatureSpec("bytes", (1,), "vocab/user.txt", lookups.users.num_rows),
            "items": FeatureSpec("int64", (-1,), "vocab/item.txt", lookups.items.num_rows),
            "times": FeatureSpec("int64", (-1,)),
        }
        known = lookups.user_features.specs
        return {**specs, **{label: known[label] for label in self.options.profile_labels}}

    def check(self, lookups: Lookups) -> None:
        known = lookups.user_features.specs
        categories = [name for name, spec in known.items() if spec.dtype == "int64" and spec.shape == (1,)]
        for label in self.options.profile_labels:
            if label not in categories:
                raise DataError(
                    f"--profile-labels {label} is no category of --users; those are {', '.join(categories) or 'none'}. "
                    "Numbers become categories by --bands."
                )

    def record_sets(self, unit: str, lookups: Lookups) -> Iterator[RecordSet]:
        histories = Histories.read(unit)
        split = HeldOutUsers(self.options.valid_share, self.options.test_share, self.options.seed)
        marks = split.marks(histories)[histories.offsets[:-1]]
        rows = lookups.user_features.find(histories.users)
        values = {
            "items": pack(look_up(histories.items, lookups.item_ids)),
            "times": pack(histories.times),
        }
        users = pack(histories.users)
        labels = {name: lookups.user_features.columns[name].values[rows] for name in self.options.profile_labels}

        def encode(chosen: np.ndarray, first: int, last: int) -> pa.LargeBinaryArray:
            user = chosen[first:last]
            one, end = np.arange(len(user)), histories.offsets[user + 1]
            start = np.maximum(histories.offsets[user], end - self.options.max_length)
            features = [Feature(name, packed, start, end) for name, packed in values.items()]
            features.append(Feature("user", users, user, user + 1))
            features += [Feature(name, pack(column[user]), one, one + 1) for name, column in labels.items()]
            return encode_examples(features)

        for mark, name in enumerate(SPLIT_NAMES):
            chosen = np.flatnonzero(marks == mark)
            yield RecordSet(name, len(chosen), partial(encode, chosen))

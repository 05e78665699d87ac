"""The view `items`: one record an item of the vocabulary, in the order of the ids: what an item tower is run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.lookups import Lookups
from beam_jobs.views.view import RecordSet, View
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, FeatureSpec

ALL = "all"
_SHARD_ITEMS = 200_000


class Items(View):
    """Records of `id`, `raw_id` and the features of --items."""

    name = "items"

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        own = {
            "id": FeatureSpec("int64", (1,), "vocab/item.txt", lookups.items.num_rows),
            "raw_id": FeatureSpec("bytes", (1,)),
        }
        return {**own, **lookups.item_features.specs}

    def units(self, partitions: Mapping[int, str], lookups: Lookups) -> Sequence[int]:
        """Ranges of items, by their first row in `Lookups.items`."""
        return range(0, lookups.items.num_rows, _SHARD_ITEMS)

    def record_sets(self, unit: int, lookups: Lookups) -> Iterator[RecordSet]:
        names = lookups.item_ids[unit : unit + _SHARD_ITEMS]
        packed, ids = pack(names), pack(np.arange(unit, unit + len(names)) + FIRST_ITEM_ID)
        rows = lookups.item_features.find(names)

        def encode(first: int, last: int) -> pa.LargeBinaryArray:
            places = np.arange(first, min(last, len(names)))
            own = [Feature("id", ids, places, places + 1), Feature("raw_id", packed, places, places + 1)]
            return encode_examples(own + lookups.item_features.features_of(rows[places]))

        yield RecordSet(ALL, len(names), encode)

"""The view `items`: one record an item of the vocabulary, in the order of the ids: what an item tower is run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from beam_jobs.aggregates import Totals, leave_one_out
from beam_jobs.encode import Feature, PackedValues, encode_examples, pack
from beam_jobs.lookups import Lookups
from beam_jobs.views.view import RecordSet, View
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, FeatureSpec

ALL = "all"
_SHARD_ITEMS = 200_000


class Items(View):
    """Records of `id`, `raw_id`, the features of --items, and the item's count and mean label of the interactions.

    The latter are those that the valid and test rows of the view `interactions` have, if there is such a view: an item
    tower reads the same of an item here as there.
    """

    name = "items"

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        own = {
            "id": FeatureSpec("int64", (1,), "vocab/item.txt", lookups.items.num_rows),
            "raw_id": FeatureSpec("bytes", (1,)),
        }
        if "interactions.rows" in lookups.items.column_names:
            own["item_count"] = FeatureSpec("int64", (1,))
            if self.options.label is not None:
                own["item_mean_label"] = FeatureSpec("float32", (1,))
        return {**own, **lookups.item_features.specs}

    def units(self, partitions: Mapping[int, str], lookups: Lookups) -> Sequence[int]:
        """Ranges of items, by their first row in `Lookups.items`."""
        return range(0, lookups.items.num_rows, _SHARD_ITEMS)

    def record_sets(self, unit: int, lookups: Lookups) -> Iterator[RecordSet]:
        names = lookups.item_ids[unit : unit + _SHARD_ITEMS]
        packed, ids = pack(names), pack(np.arange(unit, unit + len(names)) + FIRST_ITEM_ID)
        rows = lookups.item_features.find(names)
        aggregates = self._aggregates(lookups, unit, len(names))

        def encode(first: int, last: int) -> pa.LargeBinaryArray:
            places = np.arange(first, min(last, len(names)))
            own = [Feature("id", ids, places, places + 1), Feature("raw_id", packed, places, places + 1)]
            own += [Feature(name, values, places, places + 1) for name, values in aggregates.items()]
            return encode_examples(own + lookups.item_features.features_of(rows[places]))

        yield RecordSet(ALL, len(names), encode)

    def _aggregates(self, lookups: Lookups, first: int, items: int) -> dict[str, PackedValues]:
        """Count and mean label of a range of items, of all train rows with a label."""
        if "interactions.rows" not in lookups.items.column_names:
            return {}
        totals = Totals(*(lookups.items[f"interactions.{name}"].to_numpy() for name in ("rows", "labels")))
        group, none = np.arange(first, first + items), np.zeros(items, np.int64)
        count, mean = leave_one_out(totals, totals.everything(), group, none, none.astype(bool))
        columns = {"item_count": count} | ({"item_mean_label": mean} if self.options.label is not None else {})
        return {name: pack(values) for name, values in columns.items()}

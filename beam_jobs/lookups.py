"""What every worker of pass 2 may look up: vocabularies and features, in files that are opened when needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pyarrow as pa

from beam_jobs.features import FeatureTable
from beam_jobs.tables import read_table

ITEMS, USERS = "items.arrow", "users.arrow"


class Lookups:
    """Travels to the workers as the name of a folder.

    Args:
        folder: Holds items.arrow and users.arrow, and item-features.arrow and user-features.arrow if there are any.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[Lookups], tuple[str]]:
        return Lookups, (self.folder,)

    @cached_property
    def items(self) -> pa.Table:
        """`item` binary and `count` int64 (train events), and the views' sums; row n has id n + FIRST_ITEM_ID."""
        return read_table(Path(self.folder) / ITEMS)

    @cached_property
    def users(self) -> pa.Table:
        """`user` binary and `count` int64 (train events, at least 1); row n has id n + FIRST_ITEM_ID."""
        return read_table(Path(self.folder) / USERS)

    @cached_property
    def item_ids(self) -> pa.BinaryArray:
        """Raw ids in the order of the ids, for `vocabulary.look_up`."""
        return self.items["item"].combine_chunks()

    @cached_property
    def user_ids(self) -> pa.BinaryArray:
        """Raw ids in the order of the ids, for `vocabulary.look_up`."""
        return self.users["user"].combine_chunks()

    @cached_property
    def item_features(self) -> FeatureTable:
        """What --items says; without features if there is no such table."""
        return self._features("item")

    @cached_property
    def user_features(self) -> FeatureTable:
        """What --users says; without features if there is no such table."""
        return self._features("user")

    def _features(self, entity: str) -> FeatureTable:
        path = features_path(Path(self.folder), entity)
        return FeatureTable(str(path) if path.exists() else "")


def features_path(folder: Path, entity: str) -> Path:
    """Where the features of an entity, "user" or "item", are kept."""
    return folder / f"{entity}-features.arrow"

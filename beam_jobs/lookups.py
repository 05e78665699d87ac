"""What every worker of pass 2 may look up: vocabularies, in files that are opened where they are needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pyarrow as pa


class Lookups:
    """Travels to the workers as the name of a folder.

    Args:
        folder: Holds items.arrow and users.arrow.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[Lookups], tuple[str]]:
        return Lookups, (self.folder,)

    @cached_property
    def items(self) -> pa.Table:
        """`item` binary and `count` int64 (train events), and the views' sums; row n has id n + FIRST_ITEM_ID."""
        return read_table(Path(self.folder) / "items.arrow")

    @cached_property
    def users(self) -> pa.Table:
        """`user` binary and `count` int64 (train events, at least 1); row n has id n + FIRST_ITEM_ID."""
        return read_table(Path(self.folder) / "users.arrow")

    @cached_property
    def item_ids(self) -> pa.BinaryArray:
        """Raw ids in the order of the ids, for `vocabulary.look_up`."""
        return self.items["item"].combine_chunks()

    @cached_property
    def user_ids(self) -> pa.BinaryArray:
        """Raw ids in the order of the ids, for `vocabulary.look_up`."""
        return self.users["user"].combine_chunks()


def write_table(table: pa.Table, path: Path) -> None:
    """Writes an Arrow file."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path | str) -> pa.Table:
    """Reads an Arrow file."""
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
        return reader.read_all()

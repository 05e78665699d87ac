"""The events of some users, grouped by user and sorted by time: what pass 1 leaves on disk and every view reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Histories:
    """Users and their events, oldest first; ties in time stand in the log's order.

    Args:
        users: Raw ids (users,), sorted by their bytes.
        offsets: int64 (users + 1,); the events of user u are the rows `offsets[u]` to `offsets[u + 1]`.
        columns: Role -> values (events,): `item` dictionary-encoded binary and `time` int64; and, where the log has
            them, `rating` float32, `action` dictionary-encoded binary, `dwell` float32.
    """

    def __init__(self, users: pa.BinaryArray, offsets: np.ndarray, columns: Mapping[str, pa.Array]) -> None:
        self.users, self.offsets, self.columns = users, offsets, dict(columns)

    @property
    def events(self) -> int:
        """Number of rows."""
        return int(self.offsets[-1])

    @cached_property
    def items(self) -> pa.DictionaryArray:
        """Raw item ids (events,)."""
        return self.columns["item"]

    @cached_property
    def item_codes(self) -> np.ndarray:
        """Places in `items.dictionary`, int32 (events,)."""
        return self.items.indices.to_numpy()

    @cached_property
    def times(self) -> np.ndarray:
        """int64 (events,)."""
        return self.columns["time"].to_numpy()

    def owners(self, rows: np.ndarray) -> np.ndarray:
        """The user (place in `users`) of some events: int64, like `rows`."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def user_counts(self, chosen: np.ndarray) -> np.ndarray:
        """Chosen events of every user, int64 (users,), for bool (events,)."""
        total = np.append(0, np.cumsum(chosen))
        return total[self.offsets[1:]] - total[self.offsets[:-1]]

    def select(self, chosen: np.ndarray) -> Histories:
        """Only some events, bool (events,); users without any are left out, the dictionaries stay as they are."""
        counts, mask = self.user_counts(chosen), pa.array(chosen)
        users = self.users.filter(pa.array(counts > 0))
        columns = {role: values.filter(mask) for role, values in self.columns.items()}
        return Histories(users, np.append(0, np.cumsum(counts[counts > 0])), columns)

    def write(self, path: Path) -> None:
        """Writes one Arrow file: a row a user, a list column a role."""
        offsets = pa.array(self.offsets.astype(np.int32))
        lists = {role: pa.ListArray.from_arrays(offsets, values) for role, values in self.columns.items()}
        batch = pa.RecordBatch.from_arrays([self.users, *lists.values()], names=["user", *lists])
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write(batch)

    @staticmethod
    def read_times(path: str) -> np.ndarray:
        """Only the times of what `write` wrote, int64 (events,)."""
        with pa.OSFile(path, "rb") as file:
            with pa.ipc.open_file(file) as reader:
                wanted = pa.ipc.IpcReadOptions(included_fields=[reader.schema.get_field_index("time")])
            file.seek(0)
            with pa.ipc.open_file(file, options=wanted) as reader:
                return reader.get_batch(0).column("time").values.to_numpy()

    @classmethod
    def read(cls, path: str) -> Histories:
        """What `write` wrote."""
        with pa.OSFile(path, "rb") as file, pa.ipc.open_file(file) as reader:
            batch = reader.get_batch(0)
        columns = {role: batch.column(role) for role in batch.schema.names if role != "user"}
        offsets = columns["item"].offsets.to_numpy().astype(np.int64)
        return cls(batch.column("user"), offsets, {role: lists.values for role, lists in columns.items()})


def by_time(events: pa.RecordBatch) -> Histories:
    """Groups and sorts rows.

    Args:
        events: `user`, `item`, `time` and perhaps more columns (see `cleaning.event_schema`), in the log's order.
    """
    users = events.column("user").dictionary_encode()
    names = users.dictionary
    by_name = pc.sort_indices(names).to_numpy()
    rank = np.empty(len(names), np.int64)
    rank[by_name] = np.arange(len(names))
    user = rank[users.indices.to_numpy()]
    order = pa.array(_order(user, events.column("time").to_numpy()))
    offsets = np.append(0, np.cumsum(np.bincount(user, minlength=len(names))))
    columns = {}
    for role in events.schema.names[1:]:
        values = events.column(role)
        if pa.types.is_binary(values.type):
            encoded = values.dictionary_encode()
            columns[role] = pa.DictionaryArray.from_arrays(encoded.indices.take(order), encoded.dictionary)
        else:
            columns[role] = values.take(order)
    return Histories(names.take(pa.array(by_name)), offsets, columns)


def _order(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Row numbers by user, then time, then row."""
    earliest, latest = int(time.min()), int(time.max())
    row_bits, time_bits = len(user).bit_length(), (latest - earliest).bit_length()
    if int(user.max()).bit_length() + time_bits + row_bits > 63:
        return np.lexsort((time, user))
    # All three fit into one integer, and sorting plain integers is ten times faster than sorting by several keys.
    key = (user << (time_bits + row_bits)) | ((time - earliest) << row_bits) | np.arange(len(user))
    key.sort()
    return key & ((1 << row_bits) - 1)

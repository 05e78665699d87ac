"""Tables of users or items -> checked columns, one row an id. Faulty rows are rejected like those of the log."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.chunks import RawChunk
from beam_jobs.cleaning import REASONS, id_faults, to_ids, to_numbers
from beam_jobs.csv_reader import Dialect
from beam_jobs.log_readers import column_names, expand, plan_file, read
from beam_jobs.options import PrepareOptions
from beam_jobs.planning import check_column
from tfrec_zoo.errors import DataError

CATEGORY, NUMBER, SEVERAL = "category", "number", "several"

RESERVED = frozenset(
    (
        *("user", "item", "users", "items", "id", "raw_id", "time", "times", "rating", "ratings", "action", "actions"),
        *("dwell", "label", "target", "seen", "train_only", "history", "weight"),
        *("user_id", "user_count", "user_mean_label", "item_count", "item_mean_label"),
    )
)
"""Names that records use themselves."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_OF_IDS = (REASONS.index("empty_id"), REASONS.index("id_too_long"))
"""Faults of an id that are none of a feature: a value may be missing, and a title may be long."""


class RawFeatures(NamedTuple):
    """A checked table.

    Attributes:
        ids: Raw ids, each once.
        columns: Name -> values: binary of categories and of several values ("" where there is none), float32 of numbers
            (NaN where there is none).
        kinds: Name -> `CATEGORY`, `NUMBER` or `SEVERAL`.
        rows: Rows read.
        rejects: As `rejects.describe` gives them.
    """

    ids: pa.BinaryArray
    columns: dict[str, pa.Array]
    kinds: dict[str, str]
    rows: int
    rejects: list[dict[str, Any]]


def read_features(entity: str, options: PrepareOptions) -> RawFeatures | None:
    """Reads the table of an entity, "user" or "item"; None if the options name none.

    Raises:
        DataError: No such file, an unreadable file, a missing or a duplicate column, a name that cannot be used.
    """
    flag, pattern = f"--{entity}s", {"user": options.users, "item": options.items}[entity]
    if pattern is None:
        return None
    id_column = {"user": options.user_col, "item": options.item_col}[entity]
    paths = expand([pattern], flag)
    dialect = _dialect(paths, id_column, options)
    kinds: dict[str, str] = {}
    parts: list[tuple[pa.BinaryArray, dict[str, pa.Array]]] = []
    rejects: list[dict[str, Any]] = []
    rows = 0
    for path in paths:
        names = column_names(path, dialect)
        check_column(path, names, id_column, f"Ids stand in the column that --{entity}-col names.")
        found = _kinds([name for name in names if name != id_column], options)
        for name in found:
            check_column(path, names, name, "")
        if kinds and kinds != found:
            raise DataError(f"{path} has other columns than the {flag} files before it: {', '.join(names)}.")
        kinds = found
        columns = {"": id_column, **{name: name for name in kinds}}
        for source in plan_file(path, dialect, set(columns.values())):
            for chunk in read(source, columns, dialect):
                rows += len(chunk.rows) + len(chunk.unparsed)
                parts.append(_clean(chunk, kinds, path, id_column, rejects))
    if not parts:
        raise DataError(f"{flag} {pattern} has no row: leave it out.")
    ids = pa.concat_arrays([part[0] for part in parts])
    joined = {name: pa.concat_arrays([part[1][name] for part in parts]) for name in kinds}
    first = _first_of_each(ids)
    if len(first) < len(ids):
        again = np.setdiff1d(np.arange(len(ids)), first)
        rejects += [_reject(pattern, None, "duplicate_id", {id_column: ids[int(row)].as_py()}) for row in again]
        ids, joined = ids.take(pa.array(first)), {name: values.take(pa.array(first)) for name, values in joined.items()}
    return RawFeatures(ids, joined, kinds, rows, rejects)


def check_names(tables: dict[str, RawFeatures], options: PrepareOptions) -> None:
    """Raises DataError for a feature that both tables have, and for a column that an option names and none has."""
    both = set.intersection(*(set(table.kinds) for table in tables.values())) if len(tables) > 1 else set()
    if both:
        raise DataError(
            f"--users and --items both have a column {sorted(both)[0]!r}: rename one, or choose by --features."
        )
    have = {name for table in tables.values() for name in table.kinds}
    for flag, wanted in (
        ("--features", options.features or ()),
        ("--numeric", options.numeric),
        ("--multi", [name for name, _ in options.multi]),
        ("--bands", [name for name, _ in options.bands]),
    ):
        for name in wanted:
            if name not in have:
                raise DataError(
                    f"{flag} names {name!r}, but the tables have {', '.join(sorted(have)) or 'no feature'}."
                )


def _dialect(paths: list[str], id_column: str, options: PrepareOptions) -> Dialect:
    """Tables are written like the log, or in the usual way: that which shows the id column is right."""
    like_log = Dialect(options.delimiter)
    return like_log if all(id_column in column_names(path, like_log) for path in paths) else Dialect()


def _kinds(names: list[str], options: PrepareOptions) -> dict[str, str]:
    several = dict(options.multi)
    kinds = {}
    for name in names:
        if options.features is not None and name not in options.features:
            continue
        if name in RESERVED or not _NAME.fullmatch(name):
            why = "is a name that records use themselves" if name in RESERVED else "cannot be the name of a file"
            raise DataError(f"the feature {name!r} {why}: rename the column, or choose others by --features.")
        kinds[name] = SEVERAL if name in several else NUMBER if name in options.numeric else CATEGORY
    return kinds


def _clean(
    chunk: RawChunk, kinds: dict[str, str], path: str, id_column: str, rejects: list[dict[str, Any]]
) -> tuple[pa.BinaryArray, dict[str, pa.Array]]:
    """Converts a chunk; the faulty rows go to `rejects`."""
    rejects += [_reject(path, entry.row, entry.reason, {"text": entry.text}) for entry in chunk.unparsed]
    ids = to_ids(chunk.columns[""])
    faults = [(REASONS[reason], rows) for reason, rows in id_faults(ids)]
    columns: dict[str, pa.Array] = {}
    for name, kind in kinds.items():
        raw = chunk.columns[name]
        if kind == NUMBER:
            text = pc.utf8_trim_whitespace(_decoded(to_ids(raw)))
            numbers, bad = to_numbers(text)
            missing = pc.equal(text, "").to_numpy(zero_copy_only=False)
            faults.append(("bad_number", bad & ~missing))
            columns[name] = pa.array(np.where(bad, np.nan, numbers).astype(np.float32))
        else:
            columns[name] = to_ids(raw)
            faults += [(REASONS[reason], rows) for reason, rows in id_faults(columns[name]) if reason not in _OF_IDS]
    reasons = np.zeros(len(ids), object)
    for reason, rows in faults:
        reasons[rows & (reasons == 0)] = reason
    bad = reasons != 0
    if not bad.any():
        return ids, columns
    for row in np.flatnonzero(bad):
        value = {id_column: ids[int(row)].as_py()}
        rejects.append(_reject(path, int(chunk.rows[row]), str(reasons[row]), value))
    keep = pa.array(~bad)
    return ids.filter(keep), {name: values.filter(keep) for name, values in columns.items()}


def _decoded(values: pa.BinaryArray) -> pa.StringArray:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value.decode("utf-8", "replace") for value in values.to_pylist()], pa.string())


def _reject(path: str, row: int | None, reason: str, values: dict[str, Any]) -> dict[str, Any]:
    printable = {
        name: value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for name, value in values.items()
    }
    return {"file": path, "row": row, "reason": reason, "values": printable}


def _first_of_each(ids: pa.BinaryArray) -> np.ndarray:
    codes = ids.dictionary_encode().indices.to_numpy()
    return np.sort(np.unique(codes, return_index=True)[1])

"""Dead letters: the refused rows, each with file, row and reason, as JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beam_jobs.chunks import RawChunk
from beam_jobs.cleaning import REASONS
from beam_jobs.log_readers import Source
from tfrec_zoo.errors import DataError

if TYPE_CHECKING:
    from beam_jobs.shuffle import Slice


def describe(chunk: RawChunk, reasons: np.ndarray, path: str, columns: Mapping[str, str]) -> list[dict[str, object]]:
    """The refused rows of a chunk.

    Args:
        chunk: As it was read.
        reasons: uint8 (rows,), index into `REASONS`.
        path: File of the chunk.
        columns: Role -> column name.

    Returns:
        Dicts of `file`, `row` (1-based data row), `reason`, and what is known of the row: `text`, the row as it stands
        in the file, if its columns could not be told apart, else `values` by column (what is not UTF-8 is escaped).
    """
    rejects: list[dict[str, object]] = [
        {"file": path, "row": entry.row, "reason": entry.reason, "text": entry.text} for entry in chunk.unparsed
    ]
    for index in np.flatnonzero(reasons):
        values = {name: _printable(chunk.columns[role][int(index)].as_py()) for role, name in columns.items()}
        row = int(chunk.rows[index])
        rejects.append({"file": path, "row": row, "reason": REASONS[reasons[index]], "values": values})
    return sorted(rejects, key=lambda reject: int(str(reject["row"])))


def count(rejects: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """Reason -> number of rows, sorted by reason."""
    return dict(sorted(Counter(str(reject["reason"]) for reject in rejects).items()))


def to_lines(rejects: Iterable[Mapping[str, object]]) -> bytes:
    """One JSON object a line."""
    return b"".join(json.dumps(reject, ensure_ascii=False).encode() + b"\n" for reject in rejects)


def summary(counts: Mapping[str, int]) -> str:
    """For people: `12 rows rejected (10 bad_time, 2 empty_id)`."""
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.items()))
    return f"{sum(counts.values()):,} rows rejected ({reasons})"


def check_share(counts: Mapping[str, int], rows: int, limit: float, first: str) -> None:
    """Stops the job when too much of the log is bad.

    Args:
        counts: Reason -> number of rejected rows.
        rows: Rows read, the rejected ones included.
        limit: Largest share that is let through.
        first: Where the first one is, for the message.

    Raises:
        DataError: More than `limit` of the rows are rejected.
    """
    rejected = sum(counts.values())
    if rejected > limit * rows:
        raise DataError(
            f"{summary(counts)} of {rows:,}: {rejected / rows:.2%} is more than --max-reject-share {limit:.2%}. "
            f"First: {first}. Repair the log or raise the limit."
        )


def rows_before(sources: Sequence[Source], slices: Sequence[Slice]) -> list[int]:
    """How many rows of its file lie before each source and are not counted by it: those of earlier spans."""
    read = Counter[int]()
    for part in slices:
        read[part.order[0]] += part.rows_read
    before, total, path = [], 0, ""
    for source in sources:
        total = total if source.span and source.path == path else 0
        before.append(total)
        total, path = total + read[source.number], source.path
    return before


def join(
    sources: Sequence[Source], slices: Sequence[Slice], others: Sequence[Mapping[str, object]], path: Path
) -> Path | None:
    """Gathers the refused rows of all chunks, in the log's order, and others after them, in one file.

    Returns:
        `path`, or None if there is no refused row.
    """
    parts = [part for part in slices if part.rejects_path]
    if not parts and not others:
        return None
    before = rows_before(sources, slices)
    with path.open("wb") as out:
        for part in parts:
            content = Path(part.rejects_path).read_bytes()
            if shift := before[part.order[0]]:
                lines = [json.loads(line) for line in content.splitlines()]
                content = to_lines([{**line, "row": line["row"] + shift} for line in lines])
            out.write(content)
        out.write(to_lines(others))
    return path


def _printable(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, int | str) else str(value)

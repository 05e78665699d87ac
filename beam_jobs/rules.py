"""Rules over a log's columns: `rating > 3`, `action in (buy, cart) and dwell >= 10`.

    rule       = terms of comparisons: `and` binds tighter than `or`
    comparison = COLUMN (== | != | > | >= | < | <=) VALUE   |   COLUMN in (VALUE, ...)

A bare number compares as a number, anything else as text; quotes make text of a number ('3') and carry spaces. A
missing value, and text where a number is asked for, matches nothing, not even `!=`. Nothing is ever evaluated as code.
Parsing needs the standard library only, so that flags are checked before Beam and pyarrow are imported.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tfrec_zoo.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>[=!<>]+|[(),])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s=!<>(),"']+))"""
)
_ORDERS = (">", ">=", "<", "<=")
_OPERATORS = ("==", "!=", *_ORDERS, "in")
_EXAMPLE = "write it like 'rating > 3' or 'action in (buy, cart)'"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One column against values.

    Attributes:
        column: Name in the log.
        operator: "==" (any of the values), "!=" (none of them), ">", ">=", "<" or "<=".
        values: All numbers or all text; one value for an order.
    """

    column: str
    operator: str
    values: tuple[float, ...] | tuple[str, ...]

    def matches(self, values: pa.Array) -> np.ndarray:
        """Which rows match: bool (rows,).

        Raises:
            DataError: The column holds something else than numbers, text or booleans.
        """
        import numpy as np
        import pyarrow as pa

        kind = values.type
        if pa.types.is_dictionary(kind):
            inside = np.append(self.matches(values.dictionary), False)
            return inside[values.indices.fill_null(len(values.dictionary)).to_numpy(zero_copy_only=False)]
        if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
            raise DataError(f"column {self.column!r} holds {kind}: a rule compares numbers or text.")
        return self._match_text(values) if isinstance(self.values[0], str) else self._match_numbers(values)

    def _match_text(self, values: pa.Array) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.compute as pc

        text = values if pa.types.is_binary(values.type) else values.cast(pa.string()).cast(pa.binary())
        wanted = pa.array([str(value).encode() for value in self.values], pa.binary())
        found = pc.is_in(text, value_set=wanted).to_numpy(zero_copy_only=False)
        present = pc.is_valid(text).to_numpy(zero_copy_only=False)
        return found if self.operator == "==" else present & ~found

    def _match_numbers(self, values: pa.Array) -> np.ndarray:
        import numpy as np

        numbers = to_numbers(values)
        # 4.1 of a float32 column equals 4.1 of a rule only in float32.
        wanted = np.array(self.values, numbers.dtype)
        if self.operator == "==":
            return np.isin(numbers, wanted)
        if self.operator == "!=":
            return ~np.isnan(numbers) & ~np.isin(numbers, wanted)
        order = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}[self.operator]
        return order(numbers, wanted[0])


@dataclasses.dataclass(frozen=True)
class Rule:
    """A parsed rule: it matches when all comparisons of one alternative do.

    Attributes:
        text: As it was written.
        alternatives: Joined by `or`; the comparisons of each are joined by `and`.
    """

    text: str
    alternatives: tuple[tuple[Comparison, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, sorted."""
        return tuple(sorted({comparison.column for terms in self.alternatives for comparison in terms}))

    def matches(self, columns: Mapping[str, pa.Array]) -> np.ndarray:
        """Which rows match: bool (rows,).

        Args:
            columns: Column name -> values (rows,), at least those of `self.columns`.

        Raises:
            DataError: A column cannot be compared.
        """
        import numpy as np

        alternatives = [
            np.logical_and.reduce([comparison.matches(columns[comparison.column]) for comparison in terms])
            for terms in self.alternatives
        ]
        return np.logical_or.reduce(alternatives)


def parse_rule(text: str) -> Rule:
    """Reads a rule.

    Raises:
        ConfigError: It is not a rule; the message says where it stops making sense.

    Example:
        >>> parse_rule("rating > 3").alternatives
        ((Comparison(column='rating', operator='>', values=(3.0,)),),)
    """
    return Rule(text, tuple(_Parser(text).alternatives()))


def to_numbers(values: pa.Array) -> np.ndarray:
    """Values as floats, NaN for nulls and for text that is no number: float32 stays, all else is float64 (rows,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        distinct = values.dictionary_encode()
        numbers = pa.array([_number(value) for value in distinct.dictionary.to_pylist()], pa.float64())
        values = pc.take(numbers, distinct.indices)
    if not pa.types.is_float32(values.type):
        values = values.cast(pa.float64(), safe=False)
    return values.fill_null(float("nan")).to_numpy(zero_copy_only=False)


def _number(value: str | bytes) -> float:
    try:
        text = value.decode("ascii") if isinstance(value, bytes) else value
        # Python alone would take 1_000 for a number.
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


class _Parser:
    """Recursive descent over tokens of (kind, text, position)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.place = 0

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        position = 0
        while self.text[position:].strip():
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self._error("a quote that is not closed", position)
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            position = match.end()

    def alternatives(self) -> Iterator[tuple[Comparison, ...]]:
        yield self._terms()
        while self._next_word("or"):
            yield self._terms()
        if self.place < len(self.tokens):
            raise self._unexpected("'and', 'or' or the end")

    def _terms(self) -> tuple[Comparison, ...]:
        terms = [self._comparison()]
        while self._next_word("and"):
            terms.append(self._comparison())
        return tuple(terms)

    def _comparison(self) -> Comparison:
        column, _ = self._operand("a column")
        kind, operator, position = self._peek()
        if kind not in ("sign", "word") or operator not in _OPERATORS:
            raise self._unexpected(f"one of {' '.join(_OPERATORS)}" + (" (is it ==?)" if operator == "=" else ""))
        self.place += 1
        values = self._list() if operator == "in" else [self._operand("a value")]
        if all(number is not None for _, number in values):
            return Comparison(
                column, operator.replace("in", "=="), tuple(number for _, number in values if number is not None)
            )
        if operator in _ORDERS:
            raise self._error(f"{operator} compares with a number, not with {values[0][0]!r}", position)
        return Comparison(column, operator.replace("in", "=="), tuple(text for text, _ in values))

    def _list(self) -> Sequence[tuple[str, float | None]]:
        self._sign("(")
        values = [self._operand("a value")]
        while self._peek()[:2] == ("sign", ","):
            self.place += 1
            values.append(self._operand("a value"))
        self._sign(")")
        return values

    def _operand(self, what: str) -> tuple[str, float | None]:
        """Text, and the number that it stands for: bare words only, since quotes make text of a number."""
        kind, text, _ = self._peek()
        if kind in ("sign", "end"):
            raise self._unexpected(what)
        self.place += 1
        number = _number(text) if kind == "word" else math.nan
        return text, number if math.isfinite(number) else None

    def _sign(self, sign: str) -> None:
        if self._peek()[:2] != ("sign", sign):
            raise self._unexpected(f"{sign!r}")
        self.place += 1

    def _next_word(self, word: str) -> bool:
        found = self._peek()[:2] == ("word", word)
        self.place += found
        return found

    def _peek(self) -> tuple[str, str, int]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "", len(self.text))

    def _unexpected(self, wanted: str) -> ConfigError:
        kind, text, position = self._peek()
        return self._error(f"{wanted} is expected, not {'the end' if kind == 'end' else repr(text)}", position)

    def _error(self, fault: str, position: int) -> ConfigError:
        return ConfigError(f"rule {self.text!r}: {fault}, at character {position + 1}; {_EXAMPLE}")

"""Titles of items for people to read, from a CSV file, and finding items by a part of their title."""

import bisect
import csv
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from serving.server.errors import StartupError

_ITEM = "item_id"
_TITLE = "title"


class Titles:
    """The titles of a catalogue.

    Args:
        titles: Item id -> title.

    Example:
        >>> Titles({"i1": "Dune", "i2": "The Hobbit"}).search("hob", 5)
        {'i2': 'The Hobbit'}
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = dict(titles)
        self._ids = list(self._titles)
        lines = [f"{item}\t{title}".replace("\n", " ").casefold() + "\n" for item, title in self._titles.items()]
        # One text with an item a line: a search of a million titles is a few calls of str.find, not a million.
        self._text = "".join(lines)
        self._starts = list(itertools.accumulate(map(len, lines[:-1]), initial=0)) if lines else []

    def __len__(self) -> int:
        return len(self._ids)

    def of(self, items: Iterable[str]) -> dict[str, str]:
        """Returns the titles of those of the items that have one: id -> title."""
        return {item: self._titles[item] for item in items if item in self._titles}

    def search(self, part: str, limit: int) -> dict[str, str]:
        """Finds items whose id or title holds a text, in the file's order; case doesn't matter.

        Args:
            part: The text.
            limit: Items to return at most.

        Returns:
            Id -> title.
        """
        needle = part.casefold().strip()
        found: dict[str, str] = {}
        place = self._text.find(needle) if needle and "\n" not in needle else -1
        while place >= 0 and len(found) < limit:
            row = bisect.bisect_right(self._starts, place) - 1
            found |= self.of([self._ids[row]])
            place = self._text.find(needle, self._starts[row + 1]) if row + 1 < len(self._starts) else -1
        return found


def read(path: Path) -> Titles:
    """Reads a CSV file with a header: `item_id`, and `title` or one column whose name ends in `title`.

    Args:
        path: The file, UTF-8; other columns are ignored.

    Raises:
        StartupError: There is no such file, it is no such CSV, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = list(rows.fieldnames or ())
            title = _TITLE if _TITLE in columns else next((name for name in columns if name.endswith(_TITLE)), None)
            if _ITEM not in columns or title is None:
                raise StartupError(
                    f"{path}: titles need the columns item_id and title (or one that ends in title), not "
                    f"{', '.join(columns) or 'an empty file'}"
                )
            return Titles({row[_ITEM]: row[title] or "" for row in rows if row[_ITEM]})
    except OSError as error:
        raise StartupError(f"can't read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise StartupError(f"{path} is no CSV file of UTF-8 text: {error}") from error

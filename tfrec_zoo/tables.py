"""Tables on stdout: as wide as the terminal, or wide enough for a log file."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

_LOG_WIDTH = 200


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Prints a table; columns of numbers are aligned to the right.

    Args:
        columns: Headings.
        rows: Cells; a float is shown with 4 decimals, other values as they are.
        title: Above the table.
    """
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(f"{cell:,.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=_LOG_WIDTH)).print(table)

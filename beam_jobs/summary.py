"""The result of a job for people and machines: a table, or JSON with fixed keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_summary(result: Mapping[str, Any], output: str) -> None:
    """Prints the figures of `beam_jobs.prepare` as a table on stdout."""
    table = Table(title=f"Dataset {output}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in result.items():
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int | float) else str(value))
    Console().print(table)


def write_json(result: Mapping[str, Any], target: str) -> None:
    """Writes the figures to a file, or to stdout for "-"."""
    text = json.dumps(dict(result), indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")

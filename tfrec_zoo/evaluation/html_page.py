"""What every HTML page of the zoo is made of: one file without network, its style, tables that scroll by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources


def html_page(title: str, content: str) -> str:
    """A whole page.

    Args:
        title: Plain text; also the heading.
        content: HTML that follows the heading.
    """
    style = (resources.files("tfrec_zoo") / "evaluation" / "report.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{content}</main></body></html>\n"
    )


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain text; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    # Wide tables scroll by themselves, so that the page never does; tabindex lets the keyboard scroll them.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(columns[0])} table"><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )

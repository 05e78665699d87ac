"""Line charts as inline SVG: no library, no script, colours from the page so that light and dark both work."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from html import escape

_WIDTH, _HEIGHT = 540, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 12, 46
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 3", "5 2 1 2 1 2")


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve: its name in the legend and its points, x never decreasing."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    y_from_zero: bool = True,
    percent: bool = False,
) -> str:
    """Draws curves with axes, ticks and a legend, told apart by colour and by dashes.

    Args:
        lines: At most six, each with at least one finite point.
        title: Read out in place of the picture.
        x_label: Of the x axis.
        y_label: Of the y axis.
        log_x: Logarithmic x axis; every x is positive.
        y_from_zero: Whether the y axis starts at 0.
        percent: y ticks as percentages.

    Returns:
        A `<figure>`: the SVG (class "chart"; curves have classes c0 to c5) and its legend.
    """
    lines = [_finite(line) for line in lines]
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in line.y]
    x_ticks = _powers(min(xs), max(xs)) if log_x else _nice(min(xs), max(xs))
    y_ticks = _nice(0.0 if y_from_zero else min(ys), max(ys))
    to_x = _scale(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT, math.log10 if log_x else float)
    to_y = _scale(min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)), _HEIGHT - _BOTTOM, _TOP, float)
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in y_ticks:
        y = to_y(tick)
        label = f"{tick:.0%}" if percent else f"{tick:g}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in x_ticks:
        if min(xs) <= tick <= max(xs):
            parts.append(
                f'<text x="{to_x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:,g}</text>'
            )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    for number, line in enumerate(lines):
        points = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
        dash = f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""
        name = f"<title>{escape(line.name)}</title>"
        parts.append(f'<polyline class="c{number}" points="{points}"{dash}>{name}</polyline>')
        if len(line.x) == 1:
            parts.append(f'<circle class="c{number}" cx="{to_x(line.x[0]):.1f}" cy="{to_y(line.y[0]):.1f}" r="3"/>')
    parts.append("</svg>")
    return f"<figure>{''.join(parts)}{_legend(lines) if len(lines) > 1 else ''}</figure>"


def _legend(lines: Sequence[Line]) -> str:
    entries = "".join(
        f'<span><svg class="key" viewBox="0 0 30 8" aria-hidden="true"><line class="c{number}" x1="0" x2="30" y1="4" '
        f'y2="4" stroke-dasharray="{_DASHES[number] or "none"}"/></svg>{escape(line.name)}</span>'
        for number, line in enumerate(lines)
    )
    return f"<figcaption>{entries}</figcaption>"


def _finite(line: Line) -> Line:
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return Line(line.name, [x for x, _ in points], [y for _, y in points])


def _scale(
    low: float, high: float, start: float, end: float, transform: Callable[[float], float]
) -> Callable[[float], float]:
    first, last = transform(low), transform(high)
    span = (last - first) or 1.0
    return lambda value: start + (transform(value) - first) / span * (end - start)


def _nice(low: float, high: float) -> list[float]:
    """About five round numbers that enclose the range."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / 5
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    return [round(step * number, 12) for number in range(math.floor(low / step), math.ceil(high / step - 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]

"""Panels as SVG and HTML, in the dark look of Grafana."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, Final

from .queries import Span
from .readings import COLOURS, Cell, Series, amount, mapped, moment, scale

LEFT: Final = 58
BELOW: Final = 20
LABEL: Final = 150
"""Pixels for the numbers beside a graph, the times below it, and the names beside a timeline."""

ALONE: Final = 5
"""So few points are hard to see as a line."""

PART: Final = "#2c2f36"


def large(cell: Cell, *, height: int) -> str:
    """Draw one number."""
    size = min(34, round(height * 0.55), round(220 / max(len(cell.text), 4)))
    look = f"color:{cell.colour};font-size:{size}px"
    return f'<div class="large" style="{look}">{escape(cell.text)}</div>'


def table(columns: Sequence[tuple[str, int | None]], rows: Sequence[Sequence[Cell]]) -> str:
    """Draw a table."""
    if not rows:
        return '<div class="empty">No data</div>'
    heads = "".join(
        f'<th style="width:{f"{width}px" if width else "auto"}">{escape(title)}</th>'
        for title, width in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"number" if cell.is_number else ""}" style="color:{cell.colour}">'
            f"{escape(cell.text)}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def gauges(found: Sequence[Series], panel: Mapping[str, Any]) -> str:
    """Draw numbers as bars."""
    values = [(one, one.points[-1][1]) for one in found if one.points]
    most = max([value for _, value in values] + [1.0])
    look = panel["fieldConfig"]["defaults"]
    unit, decimals = look["unit"], look.get("decimals")
    return "".join(
        f'<div class="gauge"><span>{escape(one.name)}</span><div><div style="width:'
        f'{100 * value / most:.1f}%;background:{one.colour}"></div></div>'
        f'<b style="color:{one.colour}">{amount(value, unit, decimals)}</b></div>'
        for one, value in values
    )


def graph(
    found: Sequence[Series], panel: Mapping[str, Any], span: Span, *, width: int, height: int
) -> str:
    """Draw lines, areas or bars over time, and their legend."""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    layers = list(_stacked(found)) if stacked else [(one, {}) for one in found]
    tops = [value + below.get(at, 0) for one, below in layers for at, value in one.points]
    ticks = _ticks(max([*tops, 0.0]) or 1.0, unit)
    graph_width, graph_height = width - LEFT, height - BELOW

    def place(at: float, value: float) -> tuple[float, float]:
        x = LEFT + (at - span.start) / span.seconds * graph_width
        return x, 4 + (graph_height - 4) * (1 - value / ticks[-1])

    parts = list(_axes(ticks, span, unit, place, width=width, height=height))
    for one, below in layers:
        if custom.get("drawStyle") == "bars":
            parts += _bars(one, below, span, place)
        else:
            opacity, wide = custom.get("fillOpacity", 0) / 100, custom.get("lineWidth", 1) * 1.3
            parts += _lines(one, below, span, place, opacity=opacity, wide=wide)
    if custom.get("thresholdsStyle"):
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
            if step["value"] is not None and step["value"] <= ticks[-1]:
                _, y = place(span.start, step["value"])
                parts.append(
                    f'<line x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"'
                    f' stroke="{COLOURS[step["color"]]}" stroke-dasharray="6 5"/>'
                )
    svg = f'<svg width="{width}" height="{height}">{"".join(parts)}</svg>'
    return svg + legend([(one.name, one.colour) for one in found])


def timeline(
    found: Sequence[Series], panel: Mapping[str, Any], span: Span, *, width: int, height: int
) -> str:
    """Draw when each series had which state."""
    states = mapped(panel)
    named = sorted(found, key=lambda one: one.points[0][0])
    pitch = (height - BELOW) / max(len(named), 1)
    stretch = (width - LABEL) / span.seconds
    parts = []

    def across(at: float) -> float:
        return LABEL + (at - span.start) * stretch

    for index, one in enumerate(named):
        y = index * pitch
        middle = y + pitch / 2 + 4
        parts.append(
            f'<text x="{LABEL - 8}" y="{middle:.1f}" text-anchor="end">{escape(one.name)}</text>'
        )
        for value, run in _states(one.points, span.step):
            x, wide = across(run[0][0]), (run[-1][0] - run[0][0] + span.step) * stretch
            parts.append(
                f'<rect x="{x:.1f}" y="{y + pitch * 0.1:.1f}" width="{wide:.1f}"'
                f' height="{pitch * 0.8:.1f}" fill="{states[f"{value:g}"].colour}" opacity="0.85"/>'
            )
    parts += [
        f'<text x="{across(at):.1f}" y="{height - 4}" text-anchor="middle">{_clock(at)}</text>'
        for at in _times(span)
    ]
    svg = f'<svg width="{width}" height="{height}">{"".join(parts)}</svg>'
    return svg + legend([(cell.text, cell.colour) for cell in states.values()])


def legend(names: Sequence[tuple[str, str]]) -> str:
    """Draw which colour is what."""
    marks = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in names
    )
    return f'<div class="legend">{marks}</div>'


def legend_lines(names: Sequence[str], width: int) -> int:
    """Return about how many lines a legend of *names* takes."""
    lines, used = 1, 0.0
    for name in names:
        size = 30 + 6.9 * len(name)
        if used + size > width:
            lines, used = lines + 1, 0.0
        used += size
    return lines


def _stacked(found: Sequence[Series]) -> Iterator[tuple[Series, dict[float, float]]]:
    below: dict[float, float] = {}
    for one in found:
        yield one, dict(below)
        for at, value in one.points:
            below[at] = below.get(at, 0) + value


def _axes(
    ticks: Sequence[float], span: Span, unit: str, place: Any, *, width: int, height: int
) -> Iterator[str]:
    for tick in ticks:
        _, y = place(span.start, tick)
        yield f'<line x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{PART}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{amount(tick, unit)}</text>'
    for at in _times(span):
        x, _ = place(at, 0)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - BELOW}" stroke="{PART}"/>'
        yield f'<text x="{x:.1f}" y="{height - 4}" text-anchor="middle">{_clock(at)}</text>'


def _lines(
    one: Series,
    below: Mapping[float, float],
    span: Span,
    place: Any,
    *,
    opacity: float,
    wide: float,
) -> Iterator[str]:
    for run in _runs(one.points, span.step):
        tops = [place(at, value + below.get(at, 0)) for at, value in run]
        if len(run) <= ALONE:
            yield from (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{one.colour}"/>' for x, y in tops
            )
        floors = [place(at, below.get(at, 0)) for at, _ in reversed(run)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in tops)
        area = line + " " + " ".join(f"{x:.1f},{y:.1f}" for x, y in floors)
        yield f'<polygon points="{area}" fill="{one.colour}" opacity="{opacity}"/>'
        yield f'<polyline points="{line}" fill="none" stroke="{one.colour}" stroke-width="{wide}"/>'


def _bars(one: Series, below: Mapping[float, float], span: Span, place: Any) -> Iterator[str]:
    wide = place(span.start + span.step, 0)[0] - place(span.start, 0)[0]
    for at, value in one.points:
        if value > 0:
            x, top = place(at, value + below.get(at, 0))
            _, floor = place(at, below.get(at, 0))
            yield (
                f'<rect x="{x - wide / 2:.1f}" y="{top:.1f}" width="{wide * 0.85:.1f}"'
                f' height="{floor - top:.1f}" fill="{one.colour}" opacity="0.85"/>'
            )


def _runs(points: Sequence[tuple[float, float]], step: int) -> Iterator[list[tuple[float, float]]]:
    """Return the points without the gaps."""
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > step * 1.5:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _states(
    points: Sequence[tuple[float, float]], step: int
) -> Iterator[tuple[float, list[tuple[float, float]]]]:
    """Return the state and the points of each time in one state."""
    for run in _runs(points, step):
        for value, same in groupby(run, key=lambda point: point[1]):
            yield value, list(same)


def _ticks(most: float, unit: str) -> list[float]:
    base = 0.01 if unit == "percentunit" else scale(most, unit)[0]
    return [base * tick for tick in _even(most / base)]


def _even(most: float) -> list[float]:
    size = 10 ** math.floor(math.log10(most / 4))
    pitch = next(size * one for one in (1, 2, 2.5, 5, 10) if size * one * 4 >= most * 0.999)
    return [pitch * index for index in range(math.ceil(most / pitch - 0.001) + 1)]


def _times(span: Span) -> list[float]:
    pitch = next(one for one in (60, 120, 300, 600, 1800, 3600) if span.seconds / one <= 7)
    first = math.ceil(span.start / pitch) * pitch
    return [at for at in range(first, math.floor(span.end) + 1, pitch) if at - span.start > 5]


def _clock(at: float) -> str:
    return moment(at)[11:16]

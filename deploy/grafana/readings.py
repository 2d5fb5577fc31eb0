"""What Prometheus answers to a panel, made into what the panel shows: names, colours, numbers."""

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .queries import Span, asked

COLOURS: Final = {
    "green": "#73bf69",
    "orange": "#ff9830",
    "dark-orange": "#fa6400",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "red": "#f2495c",
    "dark-red": "#c4162a",
    "yellow": "#fade2a",
    "dark-yellow": "#e0b400",
    "text": "#ccccdc",
    "transparent": "transparent",
}
PALETTE: Final = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2"),
    *("#b877d9", "#705da0", "#37872d", "#fade2a"),
)

SCALES: Final[Mapping[str, Sequence[tuple[float, str]]]] = {
    "short": ((1.0, ""), (1e3, " K"), (1e6, " M")),
    "percentunit": ((1.0, "%"),),
    "bytes": ((1.0, " B"), (1024.0, " KiB"), (1024.0**2, " MiB"), (1024.0**3, " GiB")),
    "s": ((1e-3, " ms"), (1.0, " s"), (60.0, " min"), (3600.0, " hours"), (86400.0, " days")),
}
"""The sizes of each unit and their names."""

Fetch = Callable[[str, Span | None], list[dict[str, Any]]]
"""Ask Prometheus: over a span, or at present."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a graph: its name, its colour and its points."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell of a table or a large number says, and in which colour."""

    text: str
    colour: str = COLOURS["text"]
    is_number: bool = False


def series(panel: Mapping[str, Any], span: Span, fetch: Fetch) -> list[Series]:
    """Return the series of a panel that shows names with numbers."""
    found: list[Series] = []
    for query in asked(panel):
        over = None if query.is_instant else span
        for one in fetch(span.filled(query.expr), over):
            name = _named(query.legend, one["metric"])
            points = [(at, float(value)) for at, value in one.get("values") or [one["value"]]]
            points = [(at, value) for at, value in points if not math.isnan(value)]
            changed = _override(panel, name)
            colour = changed.get("color", {}).get("fixedColor")
            chosen = COLOURS[colour] if colour else PALETTE[len(found) % len(PALETTE)]
            found.append(Series(changed.get("displayName", name), chosen, points))
    return sorted(found, key=lambda one: _rank(panel, one.name))


def large(panel: Mapping[str, Any], span: Span, fetch: Fetch) -> Cell:
    """Return the one number (or name) that a panel shows."""
    (query,) = asked(panel)
    (one, *_) = fetch(span.filled(query.expr), None)
    if panel["options"]["textMode"] == "name":
        return Cell(_named(query.legend, one["metric"]))
    return _cell(one["value"][1], panel["fieldConfig"]["defaults"])


def table(
    panel: Mapping[str, Any], span: Span, fetch: Fetch
) -> tuple[list[tuple[str, int | None]], list[list[Cell]]]:
    """Return the columns (title and width) and the rows of a table."""
    merged: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    queries = list(asked(panel))
    for query in queries:
        value = f"Value #{query.letter}" if len(queries) > 1 else "Value"
        for one in fetch(span.filled(query.expr), None):
            row = merged.setdefault(tuple(sorted(one["metric"].items())), dict(one["metric"]))
            row[value] = one["value"][1]
    organized = next(one for one in panel["transformations"] if one["id"] == "organize")["options"]
    fields = sorted(organized["indexByName"], key=organized["indexByName"].get)
    sort = panel["options"]["sortBy"][0]
    titles = organized["renameByName"]
    by = next(field for field in fields if titles[field] == sort["displayName"])
    rows = sorted(merged.values(), key=lambda row: _order(row.get(by, "")), reverse=sort["desc"])
    defaults = panel["fieldConfig"]["defaults"]
    looks = {field: defaults | _override(panel, titles[field]) for field in fields}
    columns = [(titles[field], looks[field].get("custom.width")) for field in fields]
    return columns, [[_cell(row.get(field, ""), looks[field]) for field in fields] for row in rows]


def amount(value: float, unit: str, decimals: int | None = None) -> str:
    """Write *value* as a person reads it."""
    value *= 100 if unit == "percentunit" else 1
    size, name = scale(value, unit)
    scaled = value / size
    if decimals is None:
        decimals = next((one for one in (0, 1) if abs(scaled - round(scaled, one)) < 0.005), 2)
        decimals = min(decimals, 1) if abs(scaled) >= 10 else decimals
    return f"{scaled:.{decimals}f}{name}"


def scale(value: float, unit: str) -> tuple[float, str]:
    """Return the size and the name of the unit that *value* is written in."""
    steps = SCALES.get(unit, ((1.0, ""),))
    natural = next((one for one in steps if one[0] == 1.0), steps[0])
    if not value:
        return natural
    return next((one for one in reversed(steps) if abs(value) >= one[0]), steps[0])


def moment(at: float) -> str:
    """Write a time of the span."""
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d %H:%M:%S}"


def mapped(panel: Mapping[str, Any]) -> dict[str, Cell]:
    """Return what the panel says for the values that have words."""
    return {
        value: Cell(word["text"], COLOURS[word["color"]])
        for mapping in panel["fieldConfig"]["defaults"].get("mappings", ())
        for value, word in mapping["options"].items()
    }


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend).strip()


def _override(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        one["id"]: one["value"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == name
        for one in override["properties"]
    }


def _rank(panel: Mapping[str, Any], name: str) -> int:
    """Order series as the overrides do: the good below in a stack."""
    names = [
        next((one["value"] for one in each["properties"] if one["id"] == "displayName"), None)
        or each["matcher"]["options"]
        for each in panel["fieldConfig"]["overrides"]
    ]
    return names.index(name) if name in names else -1


def _order(value: str) -> tuple[bool, float, str]:
    try:
        return (value in {"", "NaN"}, float(value or "nan"), "")
    except ValueError:
        return (False, 0.0, value)


def _cell(value: str, look: Mapping[str, Any]) -> Cell:
    for mapping in look.get("mappings", ()):
        if word := mapping["options"].get(value):
            return Cell(word["text"], COLOURS[word["color"]])
    try:
        number = float(value)
    except ValueError:
        return Cell(value)
    if math.isnan(number):
        return Cell("-", is_number=True)
    colour = COLOURS["text"]
    for step in look.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or number >= step["value"]:
            colour = COLOURS[step["color"]]
    unit = look.get("unit", "short")
    text = moment(number / 1000) if unit == "dateTimeAsIso" else None
    return Cell(text or amount(number, unit, look.get("decimals")), colour, is_number=True)

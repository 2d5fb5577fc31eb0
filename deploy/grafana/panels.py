"""How the panels of all dashboards look: the same word has the same colour everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Final, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as building
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

RUNBOOKS: Final = "https://github.com/linkedapi-monitor/linkedapi-monitor/blob/main/docs/runbooks/"
"""Where the runbooks are. The rules of Prometheus spell it out; a test compares them."""

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

Word = tuple[str, str]
"""What people read for the value of a label, and its colour."""

STATUS: Final[Mapping[str, Word]] = {
    "active": ("active", "green"),
    "reconnection_required": ("needs a login", "orange"),
    "frozen": ("frozen", "blue"),
    "unknown": ("unknown", "purple"),
}

CAUSE: Final[Mapping[str, Word]] = {
    **{status: word for status, word in STATUS.items() if status != "active"},
    "flapping": ("flapping", "yellow"),
    "unreachable": ("unreachable", "red"),
    "token_rejected": ("token rejected", "dark-red"),
    "rate_limited": ("rate limited", "dark-yellow"),
    "bad_response": ("bad response", "dark-orange"),
}

ENDED: Final[Mapping[str, Word]] = {
    **dict.fromkeys(("ok", "created", "delivered", "resolved"), ("", "green")),
    **dict.fromkeys(("opened", "dead", "server"), ("", "red")),
    **dict.fromkeys(("network", "http_error", "refused"), ("", "orange")),
    **dict.fromkeys(("client", "api_error"), ("", "dark-orange")),
    **dict.fromkeys(("auth", "unknown"), ("", "purple")),
    **dict.fromkeys(("timeout", "later"), ("", "yellow")),
    "rate_limited": ("rate limited", "dark-yellow"),
    "limited": ("", "dark-yellow"),
    **dict.fromkeys(("cancelled", "kept", "needless"), ("", "text")),
}

BAR: Final = "2m"
"""The least width of a bar: four scrapes, so that what happened once is shown about once."""

Steps = Sequence[tuple[float | None, str]]
"""Colours from the lowest value up; the first has no value."""

GOOD: Final[Steps] = ((None, "green"),)
NEUTRAL: Final[Steps] = ((None, "text"),)
NONE_IS_GOOD: Final[Steps] = ((None, "green"), (1, "red"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every panel has: what it says, where it leads, and its size on a grid of 24 columns."""

    title: str
    about: str
    width: int
    height: int = 8
    unit: str = "short"
    decimals: int | None = None
    runbooks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what the legend says of its series."""

    expr: str
    legend: str = ""


Panel: TypeAlias = (
    stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
)
"""A panel of any kind, as it is being built."""

Framed = TypeVar(
    "Framed", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel, statetimeline.Panel
)


def number(
    frame: Frame,
    expr: str,
    *,
    steps: Steps = NEUTRAL,
    text: Mapping[str, Word] | None = None,
    shows_name: bool = False,
) -> stat.Panel:
    """Show one present number, large."""
    panel = _framed(stat.Panel(), frame)
    _ask(panel, [Query(expr, "{{version}}" if shows_name else "")], instant=True)
    panel.thresholds(_thresholds(steps)).color_mode(words.BigValueColorMode.VALUE)
    panel.graph_mode(words.BigValueGraphMode.NONE).reduce_options(_last())
    if shows_name:
        panel.text_mode(words.BigValueTextMode.NAME)
    if text:
        panel.mappings([_mapping(text)])
    return panel


def lines(
    frame: Frame,
    *queries: Query,
    colours: Mapping[str, Word] | None = None,
    stacked: bool = False,
    bars: bool = False,
    limit: Steps | None = None,
) -> timeseries.Panel:
    """Show how numbers went; *limit* draws lines where the steps begin."""
    panel = _framed(timeseries.Panel(), frame)
    _ask(panel, queries)
    # A stack has no lines: one of zeros would lie on top in its colour.
    panel.min(0).line_width(0 if stacked else 1).fill_opacity(70 if stacked or bars else 8)
    panel.show_points(words.VisibilityMode.AUTO)  # one that stands alone has no line
    panel.color_scheme(building.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if bars:
        panel.draw_style(words.GraphDrawStyle.BARS).interval(BAR)
    if stacked:
        panel.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL).group("A"))
    if limit:
        panel.thresholds(_thresholds(limit))
        dashed = words.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(dashed))
    _colour(panel, colours or {})
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(words.TooltipDisplayMode.MULTI)
        .sort(words.SortOrder.DESCENDING)
    )
    return panel.legend(_legend())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: the field it shows (`Value #A` is that of the first query)."""

    field: str
    title: str
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    text: Mapping[str, Word] | None = None
    steps: Steps | None = None
    url: str | None = None


def rows(
    frame: Frame, *queries: Query, columns: Sequence[Column], sort: str, falling: bool = False
) -> table.Panel:
    """Show the present series as a table, a query a column of values."""
    panel = _framed(table.Panel(), frame)
    _ask(panel, queries, instant=True, as_table=True)
    kept = {one.field: index for index, one in enumerate(columns)}
    panel.with_transformation(model.DataTransformerConfig("merge", options={}))
    panel.with_transformation(
        model.DataTransformerConfig("filterFieldsByName", options={"include": {"names": [*kept]}})
    )
    panel.with_transformation(
        model.DataTransformerConfig(
            "organize",
            options={
                "indexByName": kept,
                "renameByName": {one.field: one.title for one in columns},
            },
        )
    )
    for column in columns:
        if properties := list(_properties(column)):
            panel.override_by_name(column.title, properties)
    return panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(falling)])


def gauges(frame: Frame, *queries: Query, colours: Mapping[str, Word]) -> bargauge.Panel:
    """Show present numbers beside each other as bars."""
    panel = _framed(bargauge.Panel(), frame)
    _ask(panel, queries, instant=True)
    panel.min(0).orientation(words.VizOrientation.HORIZONTAL).reduce_options(_last())
    panel.display_mode(words.BarGaugeDisplayMode.BASIC).show_unfilled(show_unfilled=True)
    _colour(panel, colours)
    return panel


def timeline(frame: Frame, query: Query, *, states: Mapping[str, Word]) -> statetimeline.Panel:
    """Show for each series when it had which of the *states* (by number)."""
    panel = _framed(statetimeline.Panel(), frame)
    _ask(panel, [query])
    panel.mappings([_mapping(states)]).show_value(words.VisibilityMode.NEVER)
    panel.color_scheme(building.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    panel.thresholds(_thresholds(NEUTRAL)).row_height(0.8).line_width(0).fill_opacity(80)
    panel.merge_values(merge_values=True)
    return panel.legend(_legend())


def link(title: str, url: str) -> building.DashboardLink:
    """Lead to another page, in a new tab."""
    return (
        building.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(url)
        .target_blank(target_blank=True)
    )


def _framed(panel: Framed, frame: Frame) -> Framed:
    panel.datasource(SOURCE).title(frame.title).description(frame.about)
    panel.unit(frame.unit).span(frame.width).height(frame.height)
    if frame.decimals is not None:
        panel.decimals(frame.decimals)
    if frame.runbooks:
        panel.links([link(f"Runbook: {one}", f"{RUNBOOKS}{one}.md") for one in frame.runbooks])
    return panel


def _ask(
    panel: Panel, queries: Iterable[Query], *, instant: bool = False, as_table: bool = False
) -> None:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        if query.legend:
            target.legend_format(query.legend)
        if as_table:
            target.format(PromQueryFormat.TABLE)
        panel.with_target(target.instant() if instant else target.range())


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _thresholds(steps: Steps) -> building.ThresholdsConfig:
    return (
        building.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, colour) for value, colour in steps])
    )


def _mapping(text: Mapping[str, Word]) -> model.ValueMap:
    return model.ValueMap(
        {
            value: model.ValueMappingResult(text=shown or value, color=colour, index=index)
            for index, (value, (shown, colour)) in enumerate(text.items())
        }
    )


def _colour(panel: timeseries.Panel | bargauge.Panel, colours: Mapping[str, Word]) -> None:
    for name, (shown, colour) in colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        properties = [model.DynamicConfigValue("color", fixed)]
        if shown:
            properties.append(model.DynamicConfigValue("displayName", shown))
        panel.override_by_name(name, properties)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(words.LegendDisplayMode.LIST)
        .placement(words.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    said: dict[str, Any] = {}
    if column.unit:
        said["unit"] = column.unit
    if column.decimals is not None:
        said["decimals"] = column.decimals
    if column.width:
        said["custom.width"] = column.width
    if column.text:
        said["mappings"] = [_mapping(column.text)]
    if column.steps:
        steps = [{"value": value, "color": colour} for value, colour in column.steps]
        said["thresholds"] = {"mode": "absolute", "steps": steps}
    if column.text or column.steps:
        said["custom.cellOptions"] = {"type": "color-text"}
    if column.url:
        said["links"] = [{"title": column.title, "url": column.url, "targetBlank": True}]
    return [model.DynamicConfigValue(name, value) for name, value in said.items()]

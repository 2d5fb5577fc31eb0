"""The panels of all dashboards: the same value has the same text and colour everywhere."""

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
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

RUNBOOKS: Final = "https://github.com/linkedapi-monitor/linkedapi-monitor/blob/main/docs/runbooks/"
"""Where the runbooks are. The rules of Prometheus spell it out; a test compares them."""

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

Display = tuple[str, str]
"""What is shown for a value: its text (empty: the value itself) and its colour."""

STATUS: Final[Mapping[str, Display]] = {
    "active": ("active", "green"),
    "reconnection_required": ("needs a login", "orange"),
    "frozen": ("frozen", "blue"),
    "unknown": ("unknown", "purple"),
}

CAUSE: Final[Mapping[str, Display]] = {
    **{status: display for status, display in STATUS.items() if status != "active"},
    "flapping": ("flapping", "yellow"),
    "unreachable": ("unreachable", "red"),
    "token_rejected": ("token rejected", "dark-red"),
    "rate_limited": ("rate limited", "dark-yellow"),
    "bad_response": ("bad response", "dark-orange"),
    "subscription": ("", "dark-blue"),
}

OUTCOME: Final[Mapping[str, Display]] = {
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

MIN_BAR_WIDTH: Final = "2m"
"""Four scrapes, so that what happened once is shown about once."""

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: colours from the lowest value up; the first has no value."""

NEUTRAL: Final[Steps] = ((None, "text"),)
NONE_IS_GOOD: Final[Steps] = ((None, "green"), (1, "red"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelOptions:
    """What every panel has; *width* and *height* are in units of a grid of 24 columns."""

    title: str
    description: str
    width: int
    height: int = 8
    unit: str = "short"
    decimals: int | None = None
    runbooks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and the template of its legend."""

    expr: str
    legend: str = ""


Panel: TypeAlias = (
    stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
)
"""A builder of a panel of any type."""

PanelT = TypeVar(
    "PanelT", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel, statetimeline.Panel
)


def stat_panel(
    options: PanelOptions,
    expr: str,
    *,
    steps: Steps = NEUTRAL,
    displays: Mapping[str, Display] | None = None,
    shows_name: bool = False,
) -> stat.Panel:
    """Show one current number, large."""
    panel = _configured(stat.Panel(), options)
    _add_queries(panel, [Query(expr, "{{version}}" if shows_name else "")], instant=True)
    panel.thresholds(_thresholds(steps)).color_mode(common_models.BigValueColorMode.VALUE)
    panel.graph_mode(common_models.BigValueGraphMode.NONE).reduce_options(_last_value())
    if shows_name:
        panel.text_mode(common_models.BigValueTextMode.NAME)
    if displays:
        panel.mappings([_mapping(displays)])
    return panel


def time_series_panel(
    options: PanelOptions,
    *queries: Query,
    displays: Mapping[str, Display] | None = None,
    stacked: bool = False,
    bars: bool = False,
    limits: Steps | None = None,
) -> timeseries.Panel:
    """Show numbers over time; *limits* draws lines where its steps begin."""
    panel = _configured(timeseries.Panel(), options)
    _add_queries(panel, queries)
    # A stack has no lines: a line of zeros would lie on top in its colour.
    panel.min(0).line_width(0 if stacked else 1).fill_opacity(70 if stacked or bars else 8)
    panel.show_points(common_models.VisibilityMode.AUTO)  # a point that stands alone has no line
    panel.color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if bars:
        panel.draw_style(common_models.GraphDrawStyle.BARS).interval(MIN_BAR_WIDTH)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(_thresholds(limits))
        dashed = common_models.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(dashed))
    _override_displays(panel, displays or {})
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )
    return panel.legend(_legend())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: *field* is a label, or `Value #A` for the first query."""

    field: str
    title: str
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    displays: Mapping[str, Display] | None = None
    steps: Steps | None = None
    url: str | None = None


def table_panel(
    options: PanelOptions,
    *queries: Query,
    columns: Sequence[Column],
    sort: str,
    descending: bool = False,
) -> table.Panel:
    """Show the current series as a table, with a column of values for each query."""
    panel = _configured(table.Panel(), options)
    _add_queries(panel, queries, instant=True, as_table=True)
    positions = {column.field: index for index, column in enumerate(columns)}
    panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    names = {"include": {"names": [*positions]}}
    panel.with_transformation(models.DataTransformerConfig("filterFieldsByName", options=names))
    panel.with_transformation(
        models.DataTransformerConfig(
            "organize",
            options={
                "indexByName": positions,
                "renameByName": {column.field: column.title for column in columns},
            },
        )
    )
    for column in columns:
        if properties := list(_properties(column)):
            panel.override_by_name(column.title, properties)
    return panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])


def bar_gauge_panel(
    options: PanelOptions, *queries: Query, displays: Mapping[str, Display]
) -> bargauge.Panel:
    """Show current numbers as bars."""
    panel = _configured(bargauge.Panel(), options)
    _add_queries(panel, queries, instant=True)
    panel.min(0).orientation(common_models.VizOrientation.HORIZONTAL).reduce_options(_last_value())
    panel.display_mode(common_models.BarGaugeDisplayMode.BASIC).show_unfilled(show_unfilled=True)
    _override_displays(panel, displays)
    return panel


def state_timeline_panel(
    options: PanelOptions, query: Query, *, states: Mapping[str, Display]
) -> statetimeline.Panel:
    """Show for each series when it had which of the *states* (by number)."""
    panel = _configured(statetimeline.Panel(), options)
    _add_queries(panel, [query])
    panel.mappings([_mapping(states)]).show_value(common_models.VisibilityMode.NEVER)
    panel.color_scheme(builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    panel.thresholds(_thresholds(NEUTRAL)).row_height(0.8).line_width(0).fill_opacity(80)
    panel.merge_values(merge_values=True)
    return panel.legend(_legend())


def _configured(panel: PanelT, options: PanelOptions) -> PanelT:
    panel.datasource(SOURCE).title(options.title).description(options.description)
    panel.unit(options.unit).span(options.width).height(options.height)
    if options.decimals is not None:
        panel.decimals(options.decimals)
    if options.runbooks:
        panel.links([_runbook_link(name) for name in options.runbooks])
    return panel


def _runbook_link(name: str) -> builders.DashboardLink:
    return (
        builders.DashboardLink(f"Runbook: {name}")
        .type(models.DashboardLinkType.LINK)
        .url(f"{RUNBOOKS}{name}.md")
        .target_blank(target_blank=True)
    )


def _add_queries(
    panel: Panel, queries: Iterable[Query], *, instant: bool = False, as_table: bool = False
) -> None:
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        if query.legend:
            target.legend_format(query.legend)
        if as_table:
            target.format(PromQueryFormat.TABLE)
        panel.with_target(target.instant() if instant else target.range())


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, colour) for value, colour in steps])
    )


def _mapping(displays: Mapping[str, Display]) -> models.ValueMap:
    return models.ValueMap(
        {
            value: models.ValueMappingResult(text=text or value, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(displays.items())
        }
    )


def _override_displays(
    panel: timeseries.Panel | bargauge.Panel, displays: Mapping[str, Display]
) -> None:
    for name, (text, colour) in displays.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        properties = [models.DynamicConfigValue("color", fixed)]
        if text:
            properties.append(models.DynamicConfigValue("displayName", text))
        panel.override_by_name(name, properties)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    properties: dict[str, Any] = {}
    if column.unit:
        properties["unit"] = column.unit
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width:
        properties["custom.width"] = column.width
    if column.displays:
        properties["mappings"] = [_mapping(column.displays)]
    if column.steps:
        steps = [{"value": value, "color": colour} for value, colour in column.steps]
        properties["thresholds"] = {"mode": "absolute", "steps": steps}
    if column.displays or column.steps:
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.url:
        properties["links"] = [{"title": column.title, "url": column.url, "targetBlank": True}]
    return [models.DynamicConfigValue(name, value) for name, value in properties.items()]

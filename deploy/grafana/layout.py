"""What all dashboards have in common: variables, links to each other, the time range."""

from collections.abc import Iterable, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from .panels import SOURCE, Panel

TAG: Final = "linkedapi"

WORKSPACE: Final = 'workspace=~"$workspace"'
"""Selects the series of what the variable `workspace` is set to."""


def new_dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[builders.QueryVariable],
    panels: Iterable[Panel],
) -> builders.Dashboard:
    """Build a dashboard; panels are numbered from 1 so that links to one of them last."""
    dashboard = builders.Dashboard(title).uid(uid).description(description).tags([TAG])
    dashboard.time("now-6h", "now").refresh("1m").timezone("browser").readonly()
    dashboard.tooltip(models.DashboardCursorSync.CROSSHAIR)
    dashboard.with_variable(
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    )
    for variable in variables:
        dashboard.with_variable(variable)
    dashboard.link(
        builders.DashboardLink("Linked API")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    for number, panel in enumerate(panels, start=1):
        dashboard.with_panel(panel.id(number))
    return dashboard


def label_variable(name: str, label: str, metric: str) -> builders.QueryVariable:
    """Return the variable *name*: some or, by default, all values of that label of *metric*."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def workspace_variable() -> builders.QueryVariable:
    """Return the variable of workspaces; all is a pattern, as a list might have thousands."""
    return label_variable("workspace", "Workspace", "linkedapi_workspace_up").all_value(".*")

"""What all dashboards begin with: their variables, their links to each other, their times."""

from collections.abc import Iterable, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as building
from grafana_foundation_sdk.models import dashboard as model

from .panels import SOURCE, Panel

TAG: Final = "linkedapi"

CHOSEN: Final = 'workspace=~"$workspace"'
"""Selects the series of what the variable `workspace` is set to."""


def begun(
    uid: str, title: str, about: str, variables: Sequence[building.QueryVariable]
) -> building.Dashboard:
    """Begin the dashboard *title* with *variables* after that of the data source."""
    dashboard = building.Dashboard(title).uid(uid).description(about).tags([TAG])
    dashboard.time("now-6h", "now").refresh("1m").timezone("browser").readonly()
    dashboard.tooltip(model.DashboardCursorSync.CROSSHAIR)
    dashboard.with_variable(
        building.DatasourceVariable("datasource").label("Data source").type("prometheus")
    )
    for variable in variables:
        dashboard.with_variable(variable)
    return dashboard.link(
        building.DashboardLink("Linked API")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def finished(dashboard: building.Dashboard, panels: Iterable[Panel]) -> building.Dashboard:
    """Put *panels* on it, numbered from 1 so that links to one of them last."""
    for identity, panel in enumerate(panels, start=1):
        dashboard.with_panel(panel.id(identity))
    return dashboard


def of_label(name: str, label: str, metric: str) -> building.QueryVariable:
    """Offer the values of the label *name* that *metric* has: one, some or, at first, all."""
    return (
        building.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def workspaces() -> building.QueryVariable:
    """Offer the workspaces; all of them is no list, of which there may be thousands."""
    return of_label("workspace", "Workspace", "linkedapi_workspace_up").all_value(".*")

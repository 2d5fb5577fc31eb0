"""What all dashboards have in common: variables, annotations, links to each other, the time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from monitor.core.model import BLIND_CAUSES

from .annotations import Annotation
from .panels import SOURCE, Panel

TAG: Final = "linkedapi"

JOB: Final = 'job=~"$job"'
"""Selects the series of the monitors that the variable `job` is set to, in every query."""

WORKSPACE: Final = f'{JOB}, workspace=~"$workspace"'
"""Selects the series of what the variable `workspace` is set to, too."""

ACCOUNT: Final = f'{WORKSPACE}, account_id=~"$account"'
"""Selects the series of what the variable `account` is set to, too."""


BLIND: Final = "|".join(sorted(BLIND_CAUSES))
"""The causes of incidents of workspaces that can't be read."""


def new_dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[builders.QueryVariable] = (),
    panels: Iterable[Panel],
) -> builders.Dashboard:
    """Build a dashboard; panels are numbered from 1 so that links to one of them last."""
    dashboard = builders.Dashboard(title).uid(uid).description(description).tags([TAG])
    dashboard.time("now-6h", "now").refresh("1m").timezone("browser").readonly()
    dashboard.tooltip(models.DashboardCursorSync.CROSSHAIR)
    dashboard.with_variable(
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    )
    for variable in (_job_variable(), _workspace_variable(), *variables):
        dashboard.with_variable(variable)
    for annotation in _annotations():
        dashboard.annotation(annotation)
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


def once(gauge: str, *labels: str) -> str:
    """Return the expression for each workspace's *gauge* once, by *labels* besides.

    Until the next scrape there may be series of two monitors: of who held the workspace and of who
    has taken it over.
    """
    return f"max by ({', '.join(('job', 'workspace', *labels))}) ({gauge})"


def account_variable() -> builders.QueryVariable:
    """Return the variable of accounts: shown by their names, where metrics hold names."""
    return (
        _variable("account", "Account")
        .query(f"query_result(linkedapi_account_info{{{WORKSPACE}}})")
        .regex('/account_id="(?<value>[^"]+)"(?:.*[{, ]name="(?<text>[^"]+)")?/')
        .all_value(".*")
    )


def _job_variable() -> builders.QueryVariable:
    return _variable("job", "Job").query("label_values(linkedapi_monitor_build_info, job)")


def _workspace_variable() -> builders.QueryVariable:
    """Return the variable of workspaces; all is a pattern, as a list might have thousands."""
    query = f"label_values(linkedapi_workspace_up{{{JOB}}}, workspace)"
    return _variable("workspace", "Workspace").query(query).all_value(".*")


def _variable(name: str, label: str) -> builders.QueryVariable:
    """Return a variable of some or, by default, all values; the query is still to be set."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _annotations() -> Iterator[Annotation]:
    yield Annotation(
        name="Starts of the monitor",
        expr=f"process_start_time_seconds{{{JOB}}} * 1000",
        title="{{instance}} started",
        colour="purple",
        has_times=True,
    )
    yield Annotation(
        name="Reloads",
        expr=f"linkedapi_monitor_config_last_reload_success_timestamp_seconds{{{JOB}}} * 1000",
        title="{{instance}} took up another configuration",
        colour="blue",
        has_times=True,
    )
    yield Annotation(
        name="Refused reloads",
        expr=f"linkedapi_monitor_config_last_reload_successful{{{JOB}}} == bool 0",
        title="{{instance}} refuses its new configuration",
        colour="orange",
    )
    yield Annotation(
        name="Blindness",
        expr="max by (workspace, cause) "
        f'(linkedapi_incidents_open{{{JOB}, workspace=~"$workspace|[*]", cause=~"{BLIND}"}})',
        title="{{workspace}} can't be read: {{cause}}",
        colour="red",
    )

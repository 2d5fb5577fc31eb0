"""The dashboards as they are shipped, and their queries as Grafana puts them to Prometheus."""

import json
from dataclasses import dataclass

from deploy.grafana.__main__ import FOLDER

JOB = "linkedapi-monitor"
"""The job in deploy/prometheus."""

MIN_RATE_SCRAPES = 4
"""`$__rate_interval` is never shorter than so many scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """The *seconds* up to *end*, a point every *step*, scraped every *scrape_interval*."""

    end: float
    seconds: int
    step: int
    scrape_interval: int

    @property
    def start(self):
        return self.end - self.seconds

    def interpolate(self, expr):
        """Return *expr* with its variables replaced; the job and all it has are selected."""
        rate = max(self.step + self.scrape_interval, MIN_RATE_SCRAPES * self.scrape_interval)
        values = {"$__rate_interval": f"{rate}s", "$__range": f"{self.seconds}s"}
        values |= {"$workspace": ".*", "$account": ".*", "$job": JOB}
        for variable, value in values.items():
            expr = expr.replace(variable, value)
        return expr


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of the panel with the title *panel*, or an annotation's."""

    panel: str
    ref_id: str
    expr: str
    is_instant: bool
    legend: str


def load_dashboards():
    """Return the dashboards by their uid."""
    files = sorted(FOLDER.glob("*.json"))
    dashboards = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {dashboard["uid"]: dashboard for dashboard in dashboards}


def load_panels():
    """Return the panels of all dashboards."""
    return [panel for dashboard in load_dashboards().values() for panel in dashboard["panels"]]


def load_queries():
    """Return the queries of all panels and annotations of all dashboards."""
    queries = [query for panel in load_panels() for query in queries_of(panel)]
    return [*queries, *map(query_of, load_annotations())]


def load_annotations():
    """Return the annotations, which all dashboards share."""
    first, *others = [board["annotations"]["list"] for board in load_dashboards().values()]
    assert others == [first] * len(others)
    return first


def query_of(annotation):
    return PanelQuery(
        annotation["name"],
        "annotation",
        annotation["expr"],
        is_instant=False,
        legend=annotation["titleFormat"],
    )


def queries_of(panel):
    return [
        PanelQuery(
            panel["title"],
            target["refId"],
            target["expr"],
            target.get("instant", False),
            target.get("legendFormat", ""),
        )
        for target in panel["targets"]
    ]

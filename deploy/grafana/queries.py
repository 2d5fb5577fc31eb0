"""The questions that the dashboards ask, as Grafana would put them to Prometheus."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

JOB: Final = "linkedapi-monitor"
"""The job in deploy/prometheus."""

SCRAPES_A_RATE: Final = 4
"""`$__rate_interval` is never shorter than so many scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is looked at: *seconds* up to *end*, a point every *step*, scraped every *scrape*."""

    end: float
    seconds: int
    step: int
    scrape: int

    @property
    def start(self) -> float:
        """Return where it begins."""
        return self.end - self.seconds

    def filled(self, expr: str) -> str:
        """Return *expr* with its variables replaced: everything is chosen."""
        rate = max(self.step + self.scrape, SCRAPES_A_RATE * self.scrape)
        values = {"$__rate_interval": f"{rate}s", "$__range": f"{self.seconds}s"}
        for name, value in {**values, "$workspace": ".*", "$job": JOB}.items():
            expr = expr.replace(name, value)
        return expr


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a panel."""

    panel: str
    letter: str
    expr: str
    is_instant: bool
    legend: str


def asked(panel: Mapping[str, Any]) -> Iterator[Asked]:
    """Return the queries of *panel*, as its JSON has them."""
    for target in panel["targets"]:
        legend = target.get("legendFormat", "")
        instant = target.get("instant", False)
        yield Asked(panel["title"], target["refId"], target["expr"], instant, legend)

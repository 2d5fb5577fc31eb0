"""Marks over all panels of a dashboard: when something happened, or lasted."""

from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from .panels import SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation(Builder[models.AnnotationQuery]):
    """A mark for each series of *expr*, with its labels in the *title*.

    It stands where the value is a time in milliseconds (*has_times*), else while that is not 0.
    """

    name: str
    expr: str
    title: str
    colour: str
    has_times: bool = False

    def build(self) -> models.AnnotationQuery:
        """Return it as Grafana reads it."""
        return _PrometheusAnnotation(
            name=self.name,
            datasource=SOURCE,
            icon_color=self.colour,
            expr=self.expr,
            title=self.title,
            has_times=self.has_times,
        )


class _PrometheusAnnotation(models.AnnotationQuery):
    """With the fields of the data source that the SDK leaves out.

    Some versions of Grafana read the expression of the annotation, others that of its target.
    """

    def __init__(self, *, title: str, has_times: bool, **fields: object) -> None:
        super().__init__(**fields)
        self._title = title
        self._has_times = has_times

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            "target": {"expr": self.expr, "refId": "Anno"},
            "titleFormat": self._title,
            "useValueForTime": self._has_times,
        }

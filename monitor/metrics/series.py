"""Numbers by metric and labels, and how they are written: a piece of the page for each metric.

A metric is written again only when one of its numbers has changed.
"""

import functools
from collections.abc import Mapping

from .families import BUCKETS
from .piece import Piece, piece


class Series:
    """Series that have the labels *common* in common; threads have to take turns with them."""

    __slots__ = ("_common", "_drawn", "_values")

    def __init__(self, **common: str) -> None:
        _, self._common = _key("", **common)
        self._values: dict[str, dict[tuple[str, str], float]] = {}
        self._drawn: dict[str, Piece] = {}

    def show(self, family: str, value: float, /, **labels: str) -> None:
        """Let a gauge be *value*."""
        self._put(family, _key("", **labels), value)

    def hide(self, family: str, /, **labels: str) -> None:
        """Show a gauge no more."""
        if self._values.get(family, {}).pop(_key("", **labels), None) is not None:
            self._drawn.pop(family, None)

    def knows(self, family: str) -> bool:
        """Tell whether there are any series of a metric."""
        return bool(self._values.get(family))

    def count(self, family: str, times: int = 1, /, **labels: str) -> None:
        """Let a counter grow; 0 times begins it."""
        self._add(family, _key("", **labels), times)

    def observe(self, family: str, value: float, /, **labels: str) -> None:
        """Count *value* in a histogram."""
        for bound in BUCKETS[family]:
            self._add(family, _key("_bucket", **labels, le=str(bound)), value <= bound)
        self._add(family, _key("_bucket", **labels, le="+Inf"), 1)
        self._add(family, _key("_sum", **labels), value)
        self._add(family, _key("_count", **labels), 1)

    def begin(self, family: str, /, **labels: str) -> None:
        """Show a histogram, which has counted nothing yet if it is new."""
        for bound in (*BUCKETS[family], "+Inf"):
            self._add(family, _key("_bucket", **labels, le=str(bound)), 0)
        self._add(family, _key("_sum", **labels), 0)
        self._add(family, _key("_count", **labels), 0)

    def _add(self, family: str, key: tuple[str, str], by: float) -> None:
        self._put(family, key, self._values.get(family, {}).get(key, 0) + by)

    def _put(self, family: str, key: tuple[str, str], value: float) -> None:
        values = self._values.setdefault(family, {})
        if values.get(key) != value:
            values[key] = value
            self._drawn.pop(family, None)

    def pieces(self) -> Mapping[str, Piece]:
        """Write each metric that has changed; return all."""
        for family, values in self._values.items():
            if values and family not in self._drawn:
                lines = (
                    f"{family}{suffix}{self._within(labels)} {value}\n"
                    for (suffix, labels), value in values.items()
                )
                self._drawn[family] = piece("".join(lines))
        return self._drawn.copy()

    def _within(self, labels: str) -> str:
        both = ",".join(filter(None, (self._common, labels)))
        return f"{{{both}}}" if both else ""


@functools.cache  # the values of these labels are ours or the configuration's, and few
def _key(suffix: str, /, **labels: str) -> tuple[str, str]:
    """Return what tells a series from the others of its metric: as its name goes on, and labels."""
    return suffix, ",".join(f'{key}="{escape(value)}"' for key, value in labels.items())


def escape(value: str) -> str:
    """Write a label's value as the exposition format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

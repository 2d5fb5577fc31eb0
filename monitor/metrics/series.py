"""Numbers by metric and labels, and how they are written: a chunk for each metric.

A metric is written again only when one of its numbers has changed.
"""

import functools
from collections.abc import Iterable, Mapping
from itertools import repeat

from .exposition import Chunk, chunk, escape
from .families import Family


class Series:
    """Series with the labels *common*, as text, in front; threads have to take turns with them.

    A method takes the other labels of its metric, and ignores what is no label of it.
    """

    __slots__ = ("_common", "_rendered", "_values")

    def __init__(self, common: str = "") -> None:
        self._common = common
        self._values: dict[Family, dict[tuple[str, str], float]] = {}
        self._rendered: dict[Family, Chunk] = {}

    def init(self, families: Iterable[Family], /, **labels: str) -> None:
        """Start what *families* declare at 0, where it is new."""
        for family in families:
            for zero in family.zeros:
                self._add(family, {**labels, **zero}, repeat(0))

    def count(self, family: Family, /, **labels: str) -> None:
        """Increase a counter by 1."""
        self._add(family, labels, (1,))

    def observe(self, family: Family, value: float, /, **labels: str) -> None:
        """Count *value* in a histogram."""
        self._add(family, labels, (*[value <= bound for bound in family.buckets], 1, value, 1))

    def set(self, family: Family, value: float | None, /, **labels: str) -> None:
        """Set a gauge; with None it has no series any more."""
        values = self._values.setdefault(family, {})
        (key,) = _keys(family, **labels)
        if values.get(key) != value:
            self._rendered.pop(family, None)
            if value is None:
                del values[key]
            else:
                values[key] = value

    def _add(self, family: Family, labels: Mapping[str, str], amounts: Iterable[float]) -> None:
        values = self._values.setdefault(family, {})
        for key, amount in zip(_keys(family, **labels), amounts, strict=False):
            if amount or key not in values:
                values[key] = values.get(key, 0) + amount
                self._rendered.pop(family, None)

    def chunks(self) -> Mapping[Family, Chunk]:
        """Write each metric that has changed; return all."""
        for family, values in self._values.items():
            if values and family not in self._rendered:
                lines = (
                    f"{family.name}{suffix}{self._with_common(labels)} {value}\n"
                    for (suffix, labels), value in values.items()
                )
                self._rendered[family] = chunk("".join(lines))
        return self._rendered.copy()

    def _with_common(self, labels: str) -> str:
        text = ",".join(filter(None, (self._common, labels)))
        return f"{{{text}}}" if text else ""


@functools.cache  # the values of these labels are ours or the configuration's, and few
def _keys(family: Family, **labels: str) -> list[tuple[str, str]]:
    """Return suffix and labels, but for `workspace`, of each series of a metric."""
    names = [name for name in family.labels if name != "workspace"]
    pairs = [f'{name}="{escape(labels[name])}"' for name in names]
    text = ",".join(pairs)
    if family.type != "histogram":
        return [("", text)]
    bounds = (*family.buckets, "+Inf")
    buckets = [("_bucket", ",".join([*pairs, f'le="{bound}"'])) for bound in bounds]
    return [*buckets, ("_sum", text), ("_count", text)]

"""Numbers by metric and labels, and how they are written: a chunk for each metric.

A metric is written again only when one of its numbers has changed.
"""

import functools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, TypeAlias

from .exposition import Chunk, chunk, escape
from .families import Family

Key: TypeAlias = tuple[Family, str]
"""A metric, and its labels as text, but for those that all series have in common."""

Value: TypeAlias = float | list[float]
"""A number; of a histogram how many fell into each bucket and not into the one before, and the sum
of all."""

Zeros: TypeAlias = Mapping[Family, Mapping[str, Value]]

NO_ZEROS: Final[Zeros] = {}


class Series:
    """Series with the labels *common*, as text, in front; threads have to take turns with them.

    A method takes the other labels of its metric, and ignores what is no label of it. *zeros* are
    there from the start, and may be those of many: what was never counted takes no room.
    """

    __slots__ = ("_common", "_is_written", "_rendered", "_values", "_zeros")

    def __init__(self, common: str = "", zeros: Zeros = NO_ZEROS) -> None:
        self._common = common
        self._zeros = zeros
        self._values: dict[Key, Value] = {}
        self._rendered: dict[Family, Chunk] = {}
        self._is_written = False

    def init(self, families: Iterable[Family], /, **labels: str) -> None:
        """Start what *families* declare at 0, where it is new."""
        for family, values in zeros(families, **labels).items():
            for text, value in values.items():
                if (family, text) not in self._values:
                    self._change((family, text), value)

    def count(self, family: Family, /, **labels: str) -> None:
        """Increase a counter by 1."""
        key = _key(family, **labels)
        value = self._values.get(key, 0)
        assert not isinstance(value, list)
        self._change(key, value + 1)

    def observe(self, family: Family, value: float, /, **labels: str) -> None:
        """Count *value* in a histogram."""
        key = _key(family, **labels)
        numbers = self._values.get(key) or _empty(family)
        assert isinstance(numbers, list)
        numbers[bisect_left(family.buckets, value)] += 1
        numbers[-1] += value
        self._change(key, numbers)

    def set(self, family: Family, value: float | None, /, **labels: str) -> None:
        """Set a gauge; with None it has no series any more."""
        key = _key(family, **labels)
        declared = self._zeros.get(family, {}).get(key[1])
        if self._values.get(key, declared) == value:
            return
        if value is not None:
            self._change(key, value)
        elif self._values.pop(key, None) is not None:
            self._outdate(family)

    def _change(self, key: Key, value: Value) -> None:
        self._values[key] = value
        self._outdate(key[0])

    def _outdate(self, family: Family) -> None:
        self._rendered.pop(family, None)
        self._is_written = False

    def chunks(self) -> Mapping[Family, Chunk]:
        """Write each metric that has changed; return all."""
        if not self._is_written:
            for family, values in self._changed().items():
                lines = [self._lines(family, labels, value) for labels, value in values.items()]
                self._rendered[family] = chunk("".join(chain.from_iterable(lines)))
            self._is_written = True
        return self._rendered.copy()

    def _changed(self) -> Mapping[Family, Mapping[str, Value]]:
        """Return the values of each metric that is to be written."""
        rendered = self._rendered
        changed = {
            family: {**values} for family, values in self._zeros.items() if family not in rendered
        }
        for (family, labels), value in self._values.items():
            if family not in rendered:
                changed.setdefault(family, {})[labels] = value
        return changed

    def _lines(self, family: Family, labels: str, value: Value) -> Iterator[str]:
        name, text = family.name, ",".join(filter(None, (self._common, labels)))
        whole = f"{{{text}}}" if text else ""
        if not isinstance(value, list):
            yield f"{name}{whole} {value}\n"
            return
        start = f"{name}_bucket{{{text}{',' if text else ''}"
        total: float = 0
        *counts, sum_of_all = value
        for bound, count in zip((*family.buckets, "+Inf"), counts, strict=True):
            total += count
            yield f'{start}le="{bound}"}} {total}\n'
        yield f"{name}_sum{whole} {sum_of_all}\n"
        yield f"{name}_count{whole} {total}\n"


def zeros(families: Iterable[Family], /, **labels: str) -> Zeros:
    """Return what *families* declare to start at 0, by metric and labels."""
    return {
        family: {
            _key(family, **labels, **zero)[1]: _empty(family) if family.buckets else 0
            for zero in family.zeros
        }
        for family in families
        if family.zeros
    }


def _empty(family: Family) -> list[float]:
    return [0] * (len(family.buckets) + 2)


@functools.cache  # the values of these labels are ours or the configuration's, and few
def _key(family: Family, **labels: str) -> Key:
    names = [name for name in family.labels if name != "workspace"]
    return family, ",".join([f'{name}="{escape(labels[name])}"' for name in names])

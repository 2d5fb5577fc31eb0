"""The pulse: whether all loops still cycle, and whether their cycles work."""

from collections import Counter
from collections.abc import Callable


class LoopHealth:
    """When each loop is to cycle next at the latest, and why its last cycle failed, if it did."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due: dict[str, float] = {}
        self._failing: dict[str, str] = {}

    def beat(self, loop: str, within: float) -> None:
        """Note that *loop* cycled and will again within so many seconds."""
        self._due[loop] = self._monotonic() + within

    def end(self, loop: str) -> None:
        """Note that *loop* is over: it will cycle no more."""
        self._due.pop(loop, None)
        self._failing.pop(loop, None)

    def overdue(self) -> list[str]:
        """Return a sentence for each loop that hangs."""
        at = self._monotonic()
        return [
            f"the loop {loop} is {at - due:.0f} s overdue"
            for loop, due in self._due.items()
            if at > due
        ]

    def failed(self, loop: str, why: str) -> bool:
        """Note that a cycle of *loop* failed; return whether none fails for that reason yet."""
        is_new = why not in self._failing.values()
        self._failing[loop] = why
        return is_new

    def worked(self, loop: str) -> str | None:
        """Note that a cycle of *loop* worked; return the reason for which now none fails more."""
        why = self._failing.pop(loop, None)
        return None if why in self._failing.values() else why

    def is_failing(self, loop: str) -> bool:
        """Return whether the last cycle of *loop* failed."""
        return loop in self._failing

    def problems(self) -> list[str]:
        """Return a sentence for each reason why cycles fail."""
        return [
            f"{why} ({count} of the loops)"
            for why, count in Counter(self._failing.values()).items()
        ]

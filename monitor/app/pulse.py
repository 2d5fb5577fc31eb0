"""The pulse: whether all loops still cycle."""

from collections.abc import Callable


class Pulse:
    """When each loop is to cycle next at the latest."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due: dict[str, float] = {}

    def beat(self, loop: str, within: float) -> None:
        """Note that *loop* cycled and will again within so many seconds."""
        self._due[loop] = self._monotonic() + within

    def end(self, loop: str) -> None:
        """Note that *loop* is over: it will cycle no more."""
        self._due.pop(loop, None)

    def overdue(self) -> list[str]:
        """Return a sentence for each loop that hangs."""
        at = self._monotonic()
        return [
            f"the loop {loop} is {at - due:.0f} s overdue"
            for loop, due in self._due.items()
            if at > due
        ]

"""Whether all loops still cycle, and why their cycles fail."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import structlog

from monitor.core.errors import MonitorError
from monitor.store.db import LeaseLostError

from .lease import Lease

log = structlog.get_logger("app")


class LoopHealth:
    """When each loop is to cycle next at the latest, and why its last cycle failed, if it did.

    *monotonic* gives seconds. Cycles need the *lease*, if there is one.
    """

    def __init__(self, monotonic: Callable[[], float], lease: Lease | None = None) -> None:
        self._monotonic = monotonic
        self._lease = lease
        self._due: dict[str, float] = {}
        self._failing: dict[str, str] = {}

    def beat(self, loop: str, within: float) -> None:
        """Note that *loop* cycled and will again within so many seconds."""
        self._due[loop] = self._monotonic() + within

    def rest(self, loop: str) -> None:
        """Note that *loop* has done what there was to do, and cycles when it is woken."""
        self._due[loop] = math.inf

    def end(self, loop: str) -> None:
        """Note that *loop* is over: it will cycle no more."""
        self._due.pop(loop, None)
        self._failing.pop(loop, None)

    def clear(self) -> None:
        """Note that all loops are over."""
        self._due.clear()
        self._failing.clear()

    async def guard(
        self, loop: str, cycle: Coroutine[Any, Any, object], *, needs_lease: bool = True
    ) -> None:
        """Await one *cycle* of *loop*; if it fails, log why, once a reason, and continue.

        Nothing is awaited of a cycle that *needs_lease* once the lease is lost. One that ends as
        another replica has taken over what it is about makes the lease doubted.
        """
        try:
            if needs_lease and self._lease and not self._lease.held.is_set():
                return
            await cycle
        except LeaseLostError:
            if self._lease:
                self._lease.doubt()
        except Exception as error:
            is_bug = not isinstance(error, MonitorError)
            reason = f"{type(error).__name__} in {loop}" if is_bug else str(error)
            is_new = reason not in self._failing.values()
            self._failing[loop] = reason
            if is_new and is_bug:
                log.exception("cycle failed unexpectedly", loop=loop)
            elif is_new:
                log.error("cycle failed", loop=loop, error=reason)  # noqa: TRY400 - says it all
        else:
            over = self._failing.pop(loop, None)
            if over is not None and over not in self._failing.values():
                log.info("cycles work again", loop=loop, after=over)
        finally:
            cycle.close()  # one that was not awaited would be complained of

    def is_failing(self, *loops: str) -> bool:
        """Return whether the last cycle of one of the *loops* failed."""
        return any(loop in self._failing for loop in loops)

    def overdue(self) -> list[str]:
        """Return a sentence for each loop that hangs.

        While the lease can't be renewed they may wait for the database: a restart would not help,
        and would end the polls that go on.
        """
        if self._lease and self._lease.held.is_set() and not self._lease.is_sure():
            return []
        now = self._monotonic()
        return [
            f"the loop {loop} is {now - due:.0f} s overdue"
            for loop, due in self._due.items()
            if now > due
        ]

    def problems(self, loops: Collection[str]) -> list[str]:
        """Return a sentence for each reason why cycles of *loops* fail."""
        failing = (reason for loop, reason in self._failing.items() if loop in loops)
        return [f"{reason} ({count} of the loops)" for reason, count in Counter(failing).items()]

"""Notices that the files of the configuration hold something else than before: `reload: watch`.

Contents are compared, not times: a link may be turned to another folder, and editors replace files.
What differs must do so in the same way at the next look, SETTLE later: it may be half written.
Reading has a thread of its own; while it hangs nothing else is read, and nothing waits for it long.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from monitor.core.duration import Duration
from monitor.files import FileContents
from monitor.threads import Threads

WATCH_EVERY: Final = Duration.parse("10s")
SETTLE: Final = Duration.parse("1s")
READ_TIMEOUT: Final = Duration.parse("5s")

log = structlog.get_logger("app")


class ConfigWatch:
    """Looks at the files every now and then, on the clock *monotonic*."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._threads = Threads(1, "watch")
        self._reading: asyncio.Future[FileContents] | None = None
        self._noticed: FileContents | None = None
        self._is_hanging = False
        self._due_at = monotonic() + WATCH_EVERY.seconds

    def due_in(self) -> float:
        """Return in how many seconds it is time for a look."""
        return max(0.0, self._due_at - self._monotonic())

    async def has_changed(self, loaded: FileContents) -> bool:
        """Look if it is time; return whether something else than *loaded* was there twice."""
        if self.due_in() > 0:
            return False
        contents = await self._read(loaded)
        differs = contents is not None and contents != loaded
        before, self._noticed = self._noticed, contents if differs else None
        is_settled = differs and contents == before
        wait = SETTLE if differs and not is_settled else WATCH_EVERY
        self._due_at = self._monotonic() + wait.seconds
        return is_settled

    async def _read(self, loaded: FileContents) -> FileContents | None:
        """Return what the files hold now, None if that takes too long."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._threads.run(loaded.read_again))
        done, _ = await asyncio.wait((self._reading,), timeout=READ_TIMEOUT.seconds)
        if not done:
            if not self._is_hanging:
                log.warning("the files of the configuration can't be read: their disk hangs")
            self._is_hanging = True
            return None
        reading, self._reading, self._is_hanging = self._reading, None, False
        return reading.result()

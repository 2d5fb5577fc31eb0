"""An event loop whose name look-ups harm nobody else.

A look-up can't be cancelled, and with a name server that is silent it lasts for half a minute. Each
has a thread of its own, which nobody waits for at the end of the process, never two for the same
question, and at most `MAX_LOOKUPS` at a time; the threads of everything else stay free.
"""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from monitor.core.duration import Duration

MAX_LOOKUPS: Final = 16

LOOKUP_TIMEOUT: Final = Duration.parse("10s")
"""How long an answer is waited for: the resolver's first name server may be silent for 5 s."""

T = TypeVar("T")


class EventLoop(asyncio.SelectorEventLoop):
    """The event loop of asyncio; whatever connects through it looks names up as said above."""

    def __init__(self) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(MAX_LOOKUPS)
        self._lookups: dict[tuple[Any, ...], asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - its name in asyncio
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look up the addresses of *host*; raise `socket.gaierror` if there is none in time."""
        return await self._look_up(socket.getaddrinfo, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        """Look up the name of an address; raise `socket.gaierror` if there is none in time."""
        return await self._look_up(socket.getnameinfo, sockaddr, flags)

    async def _look_up(self, ask: Callable[..., Any], *question: Any) -> Any:
        """Wait for the answer to a *question*; whoever gives up waiting takes it from no other."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKUP_TIMEOUT.seconds):
                answer = self._lookups.get((ask, *question))
                if answer is None:
                    await self._free.acquire()
                    answer = self._lookups.get((ask, *question))  # somebody else may have asked
                    if answer is None:
                        answer = self._start(ask, question)
                    else:
                        self._free.release()
                return await asyncio.shield(answer)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time")

    def _start(self, ask: Callable[..., Any], question: tuple[Any, ...]) -> asyncio.Future[Any]:
        answer = self._lookups[(ask, *question)] = self.create_future()

        def end(set_result: Callable[[Any], None], value: Any) -> None:
            self._free.release()
            del self._lookups[(ask, *question)]
            set_result(value)
            answer.exception()  # that nobody waits for it any more is no complaint

        def look_up() -> None:
            try:
                ended = (answer.set_result, ask(*question))
            except UnicodeError:  # a label that is too long, say
                error = socket.gaierror(socket.EAI_NONAME, "no name of a host")
                ended = (answer.set_exception, error)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                ended = (answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed, the process ends
                self.call_soon_threadsafe(end, *ended)

        try:
            threading.Thread(target=look_up, name="lookup", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            end(answer.set_exception, socket.gaierror(socket.EAI_AGAIN, "no thread to ask with"))
        return answer


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* in such a loop, as `asyncio.run` does in another; collect garbage meanwhile."""
    gc.enable()
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(main)

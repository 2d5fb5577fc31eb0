"""The queues of receivers: how long they are, and what becomes of one whose receiver is gone."""

from functools import partial

import structlog

from monitor.store import outbox, receivers, undelivered
from monitor.store.receivers import ReceiverState

from .components import Resources
from .holdings import Holdings
from .workers import Workers

log = structlog.get_logger("app")


class Queues:
    """What is queued of the workspaces that this replica holds."""

    def __init__(self, resources: Resources, workers: Workers, holdings: Holdings) -> None:
        self._resources = resources
        self._workers = workers
        self._holdings = holdings

    async def look(self) -> None:
        """Show how much is queued, and cancel what is so for receivers that were removed."""
        metrics, replica = self._resources.metrics, self._holdings.replica
        backlog, states = await self._resources.store.read(
            lambda tx: (outbox.backlog(tx, replica), receivers.load_all(tx))
        )
        for name in self._workers.receivers:
            count, oldest_at = backlog.get(name, (0, None))
            metrics.pending(name, count, oldest_at)
            state = states.get(name, ReceiverState(name))
            metrics.receiver(
                name, not_before=state.not_before, is_failing=state.failing_since is not None
            )
        if not self._holdings.is_newest:  # another replica may know receivers that are new
            return
        for name in sorted(backlog.keys() - self._workers.receivers.keys()):
            log.warning("receiver removed; its queue is cancelled", receiver=name)
            await self._cancel_removed(name)

    async def _cancel_removed(self, receiver: str) -> None:
        """Cancel what is queued for a receiver that left the configuration, until it is back."""
        components, runtime = self._holdings.components, self._resources.runtime
        cancel = partial(
            undelivered.cancel_removed,
            replica=self._holdings.replica,
            receiver=receiver,
            fallback=components.fallback,
            new_id=runtime.new_id,
        )
        while receiver not in self._workers.receivers:
            cancelled = await self._resources.store.run(partial(cancel, now=runtime.now()), of=())
            if cancelled is None:
                break
            components.recorder.count(cancelled)
            self._workers.wake_receivers([components.fallback.name] if components.fallback else [])

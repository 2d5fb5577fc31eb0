"""Delivers what the outbox holds: claim, recheck, render, send, settle."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.model import EventType, Message, Micros, NotificationState
from monitor.core.policy import DeliveryPolicy
from monitor.core.route import Receiver
from monitor.metrics.families import ATTEMPTS, LATENCY, RECOVERY
from monitor.notifiers import Notifier
from monitor.store import claims
from monitor.store.claims import Claimed, View
from monitor.store.outbox import Settled

from .record import Recorder

SEND_TIMEOUT: Final = Duration.parse("15s")
"""No notifier may take longer for one attempt."""

LEASE: Final = Duration.parse("20s")
"""How long a claim holds: after it, a send whose outcome is unknown is retried."""

STOPPED: Final = DeliveryError(
    "the monitor stopped while this was being sent",
    reason=AttemptReason.TIMEOUT,
    ambiguous=True,
)

log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """The configuration of deliveries."""

    policy: DeliveryPolicy
    view: View
    fallback: Receiver | None = None


async def attempt(notifier: Notifier, message: Message) -> DeliveryError | None:
    """Send *message* once; return why it failed, if it did, whatever the notifier raises."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT.seconds):
            await notifier.send(message)
    except DeliveryError as error:
        return error
    except TimeoutError:
        return DeliveryError("no answer in time", reason=AttemptReason.TIMEOUT, ambiguous=True)
    except Exception as error:  # noqa: BLE001 - a notifier's bug must not lose the alert
        return DeliveryError(
            f"the notifier failed: {type(error).__name__}",
            reason=AttemptReason.CLIENT,
            ambiguous=True,
        )
    return None


@dataclass(slots=True)
class Deliverer:
    """Delivers to one receiver; what is set meanwhile does not change a send in flight.

    Several workers may share it. Until *paused_until* (monotonic seconds) the receiver asked not to
    be sent anything.
    """

    receiver: Receiver
    notifier: Notifier
    rules: DeliveryRules
    recorder: Recorder
    paused_until: float = 0.0
    _is_failing: bool = False
    _sending: set[str] = field(default_factory=set)

    async def deliver(self) -> list[Settled] | None:
        """Deliver one message; return what came to an end, or None if there was none to send now.

        Raise StoreError if the database failed; what was sent is then sent again under its key.
        """
        if self.recorder.runtime.monotonic() < self.paused_until:
            return None
        claimed = await self.recorder.store.run(
            lambda tx: claims.claim(
                tx,
                self.receiver,
                view=self.rules.view,
                sending=self._sending,
                now=self.recorder.runtime.now(),
                lease=LEASE,
                new_id=self.recorder.runtime.new_id,
            )
        )
        self.recorder.count(claimed.ended)
        message = claimed.message
        if message is None:
            return list(claimed.ended) or None
        self._sending.add(message.id)
        try:
            try:
                error = await attempt(self.notifier, message)
            except asyncio.CancelledError:
                await self._settle(claimed, message, STOPPED)
                raise
            return [*claimed.ended, *await self._settle(claimed, message, error)]
        finally:
            self._sending.discard(message.id)

    async def due_in(self, at_most: Duration) -> float:
        """Return in how many seconds something may be due, *at_most* if nothing is queued."""
        paused = self.paused_until - self.recorder.runtime.monotonic()
        if paused > 0:
            return min(paused, at_most.seconds)
        now = self.recorder.runtime.now()
        due = await self.recorder.store.run(lambda tx: claims.next_at(tx, self.receiver.name, now))
        return min(max(due - now, 0) / 1_000_000, at_most.seconds) if due else at_most.seconds

    async def _settle(
        self, claimed: Claimed, message: Message, error: DeliveryError | None
    ) -> list[Settled]:
        now, fallback = self.recorder.runtime.now(), self.rules.fallback
        settled = await self.recorder.store.run(
            lambda tx: claims.settle(
                tx,
                claimed,
                error,
                now=now,
                deadline=self.rules.policy.deadline,
                jitter=self.recorder.runtime.jitter(),
                fallback=fallback,
                new_id=self.recorder.runtime.new_id,
            ),
            urgent=True,  # else what has been sent is sent again
        )
        settled = settled or []
        reason = error.reason if error else AttemptReason.OK
        self.recorder.metrics.count(ATTEMPTS, receiver=self.receiver.name, reason=reason)
        if error is None:
            self._note_delivered(message, since=claimed.created_at, now=now)
        elif error.retry_after:
            self.paused_until = self.recorder.runtime.monotonic() + error.retry_after.seconds
        is_dead = any(sent.outcome is NotificationState.DEAD for sent in settled)
        if is_dead and fallback:
            self.recorder.wake([fallback.name])
        self._log(message, claimed.attempts, error, is_dead=is_dead)
        self.recorder.count(settled)
        return settled

    def _note_delivered(self, message: Message, *, since: Micros, now: Micros) -> None:
        took = max(0, now - since) / 1_000_000
        self.recorder.metrics.observe(LATENCY, took, receiver=self.receiver.name)
        for notification in message.notifications:
            incident = notification.incident
            if notification.event is EventType.OPENED and incident and incident.account_id:
                since_detection = max(0, now - notification.at) / 1_000_000
                self.recorder.metrics.observe(RECOVERY, since_detection, phase="notified")

    def _log(
        self, message: Message, attempts: int, error: DeliveryError | None, *, is_dead: bool
    ) -> None:
        bound = log.bind(receiver=self.receiver.name, message=message.id, attempt=attempts)
        if error is None:
            bound.info("delivered", events=[str(sent.event) for sent in message.notifications])
            if self._is_failing:
                bound.info("receiver works again")
        elif is_dead:
            incidents = [sent.incident.id for sent in message.notifications if sent.incident]
            bound.error("given up", reason=error.reason, error=str(error), incidents=incidents[:20])
        elif not self._is_failing:
            bound.warning("not delivered, will try again", reason=error.reason, error=str(error))
        self._is_failing = error is not None

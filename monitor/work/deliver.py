"""Delivers what the outbox holds: claim, recheck, render, send, settle."""

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.inventory import Inventory
from monitor.core.model import EventType, Micros
from monitor.core.notification import Message, Notification, NotificationState
from monitor.core.policy import DeliveryPolicy
from monitor.core.receipt import Receipt
from monitor.core.render import Style, render
from monitor.core.route import Receiver
from monitor.core.text import bare, clean
from monitor.metrics.families import ATTEMPTS, LATENCY, RECOVERY
from monitor.notifiers import DEFAULT_TIMEOUT, Notifier
from monitor.store import attempts, claims
from monitor.store.attempts import Attempt, SettledMessage
from monitor.store.claims import Claimed, Sender
from monitor.store.db import StoreError
from monitor.store.outbox import Settled

from .record import Recorder

ENDING: Final = Duration.parse("5s")
"""How long after its receiver's time limit an attempt may take to end as it should."""

MARGIN: Final = Duration.parse("10s")
"""How long after the same a claim holds: then what another process was sending is retried."""

SETTLE_RETRY: Final = Duration.parse("1s")
"""After what time the end of a send that could not be recorded is recorded again."""

LAST_WRITE: Final = Duration.parse("3s")
"""How long each of the last things may take to be recorded when the monitor stops."""

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
    inventory: Inventory
    fallback: Receiver | None = None


async def attempt(
    notifier: Notifier, message: Message, *, limit: Duration
) -> Receipt | DeliveryError:
    """Send *message* once; return its receipt or why it failed, whatever the notifier raises.

    *limit* is the time that the notifier should keep to.
    """
    try:
        async with asyncio.timeout(Duration(limit + ENDING).seconds):
            receipt: object = await notifier.send(message)
            return receipt if isinstance(receipt, Receipt) else Receipt()  # whoever wrote it
    except DeliveryError as error:
        return error
    except TimeoutError:
        return DeliveryError("gave no answer in time", reason=AttemptReason.TIMEOUT, ambiguous=True)
    except Exception as error:  # noqa: BLE001 - a notifier's bug must not lose the alert
        return DeliveryError(
            f"the notifier failed: {type(error).__name__}",
            reason=AttemptReason.CLIENT,
            ambiguous=True,
        )


@dataclass(slots=True)
class Deliverer:
    """Delivers to one receiver; what is set meanwhile does not change a send in flight.

    *refused* is called with its name when it takes nothing until somebody mends it.
    """

    receiver: Receiver
    notifier: Notifier
    rules: DeliveryRules
    recorder: Recorder
    by: str
    timeout: Duration = DEFAULT_TIMEOUT
    refused: Callable[[str], None] = lambda _: None
    _is_failing: bool = False
    _failing_since: Micros | None = None
    _sending: dict[str, str] = field(default_factory=dict)  # workspaces by message
    _has_lost_claim: bool = False
    _diverted: tuple[Micros, str] = attempts.BEGINNING
    _has_to_divert_anew: bool = False

    @property
    def busy(self) -> Collection[str]:
        """The workspaces of which something is being sent."""
        return self._sending.values()

    @property
    def lease(self) -> Duration:
        """How long a claim holds."""
        return Duration(self.timeout + MARGIN)

    async def claim(self) -> Claimed:
        """Claim a message to send, if there is one."""
        sending = frozenset(self._sending)
        has_lost_claim, self._has_lost_claim = self._has_lost_claim, True  # until the answer

        sender = Sender(self.recorder.replica, self.by)

        def work(tx: Connection) -> Claimed:
            if has_lost_claim:
                claims.disown(tx, self.receiver.name, sender, sending=sending)
            return claims.claim(
                tx,
                self.receiver,
                sender,
                inventory=self.rules.inventory,
                now=self.recorder.runtime.now(),
                lease=self.lease,
                new_id=self.recorder.runtime.new_id,
                failing_since=self._failing_since,
            )

        claimed = await self.recorder.store.run(work, of=())
        self._has_lost_claim, self._failing_since = False, claimed.failing_since
        if claimed.message is not None:
            self._sending[claimed.message.id] = claimed.message.workspace
        self.recorder.count(claimed.ended)
        for workspace in claimed.asking:
            self.recorder.look(workspace)
        for message in claimed.unreadable:
            log.error(
                "a message can't be read; it waits for an hour",
                receiver=self.receiver.name,
                message=message,
                hint="did a newer version of the monitor write it? run that one",
            )
        if claimed.refuses and await self._divert():
            return replace(claimed, more=True)
        return claimed

    async def send(self, claimed: Claimed, message: Message) -> list[Settled]:
        """Send *message* and record how that ended; return what came to an end.

        What is known of a send is not given up: it is recorded as soon as the database can. What
        was claimed before this monitor stood still is not sent: others may have told of its end.
        """
        if self.recorder.runtime.now() - message.now > MARGIN:
            self._sending.pop(message.id, None)
            self._has_lost_claim = True  # it lapses as others do, and is looked at again
            return []
        monotonic = self.recorder.runtime.monotonic
        began = monotonic()
        try:
            result = await attempt(self.notifier, message, limit=self.timeout)
        except asyncio.CancelledError:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LAST_WRITE.seconds):
                    await self._settle(claimed, message, self._attempt(message, STOPPED, began))
            raise
        settled = await self._settle_surely(claimed, message, self._attempt(message, result, began))
        self._sending.pop(message.id, None)
        if isinstance(result, DeliveryError) and (
            result.remedy is Remedy.MEND or result.reason is AttemptReason.AUTH
        ):
            self.refused(self.receiver.name)
        if settled is None:
            return []
        ended = list(settled.ended)
        if settled.receiver.failing_since is not None:
            ended += await self._expire()
        if not settled.receiver.refuses:
            self._diverted = attempts.BEGINNING
        return ended

    async def _settle_surely(
        self, claimed: Claimed, message: Message, ended: Attempt
    ) -> SettledMessage | None:
        is_logged = False
        while True:
            try:
                return await self._settle(claimed, message, ended)
            except StoreError as failure:
                if not is_logged:
                    log.warning("the end of a send can't be recorded yet", error=str(failure))
                is_logged = True
                await asyncio.sleep(SETTLE_RETRY.seconds)

    def _attempt(self, message: Message, result: Receipt | DeliveryError, began: float) -> Attempt:
        took = Duration(int((self.recorder.runtime.monotonic() - began) * 1_000_000))
        title, post = "", None
        try:  # neither a title nor a post is worth a send whose end is not recorded
            title = bare(render(message, Style()).title)
            post = json.dumps(result.post) if isinstance(result, Receipt) and result.post else None
        except Exception:
            log.exception("an attempt can't be described", receiver=self.receiver.name)
        return Attempt(result, took=took, title=title, post=post)

    async def _settle(
        self, claimed: Claimed, message: Message, ended: Attempt
    ) -> SettledMessage | None:
        now, fallback, error = self.recorder.runtime.now(), self.rules.fallback, ended.error
        result = await self.recorder.store.run(
            lambda tx: attempts.settle(
                tx,
                self.recorder.replica,
                claimed,
                ended,
                now=now,
                deadline=self.rules.policy.deadline,
                jitter=self.recorder.runtime.jitter(),
                fallback=fallback,
                new_id=self.recorder.runtime.new_id,
            ),
            of=(message.workspace,),
            urgent=True,  # else what has been sent is sent again
        )
        reason = error.reason if error else AttemptReason.OK
        self.recorder.metrics.count(ATTEMPTS, receiver=self.receiver.name, reason=reason)
        if ended.is_taken and not message.done:
            self._note_delivered(message, since=claimed.created_at, now=now)
        if result:
            self._failing_since = result.receiver.failing_since
            self.recorder.metrics.receiver(
                self.receiver.name,
                not_before=result.receiver.not_before,
                is_failing=result.receiver.failing_since is not None,
            )
        is_dead = self._note_ended(result.ended if result else ())
        self._log(message, claimed.attempts, ended, is_dead=is_dead)
        return result

    def _note_ended(self, ended: Sequence[Settled]) -> bool:
        """Count what came to an end, and wake the fallback if it is to hear of it."""
        self.recorder.count(ended)
        is_dead = any(sent.outcome is NotificationState.DEAD for sent in ended)
        fallback = self.rules.fallback
        self.recorder.wake([fallback.name] if is_dead and fallback else [])
        return is_dead

    def divert_anew(self) -> None:
        """Let the fallback hear of all that is queued, if it has to: others have queued of it."""
        self._has_to_divert_anew = True

    async def _divert(self) -> bool:
        """Tell the fallback of some openings that the receiver, which has to be mended, refuses.

        Return whether there may be more.
        """
        fallback, runtime = self.rules.fallback, self.recorder.runtime
        if fallback is None or fallback.name == self.receiver.name:
            return False
        if self._has_to_divert_anew or self._diverted[0] > runtime.now():  # the clock went back
            self._diverted, self._has_to_divert_anew = attempts.BEGINNING, False
        last = await self.recorder.store.run(
            lambda tx: attempts.divert(
                tx,
                self.recorder.replica,
                self.receiver.name,
                fallback,
                after=self._diverted,
                now=runtime.now(),
                new_id=runtime.new_id,
            ),
            of=(),
        )
        if last is None:
            return False
        self._diverted = last
        self.recorder.wake([fallback.name])
        return True

    async def _expire(self) -> list[Settled]:
        """Give up what has waited too long behind the receiver, which fails."""
        ended: list[Settled] = []
        runtime = self.recorder.runtime
        while portion := await self.recorder.store.run(
            lambda tx: attempts.expire(
                tx,
                self.recorder.replica,
                self.receiver.name,
                now=runtime.now(),
                deadline=self.rules.policy.deadline,
                fallback=self.rules.fallback,
                new_id=runtime.new_id,
            ),
            of=(),
        ):
            self._note_ended(portion)
            log.error("given up behind others", receiver=self.receiver.name, count=len(portion))
            ended += portion
        return ended

    def _note_delivered(self, message: Message, *, since: Micros, now: Micros) -> None:
        took = max(0, now - since) / 1_000_000
        self.recorder.metrics.observe(LATENCY, took, receiver=self.receiver.name)
        for notification in message.notifications:
            incident = notification.incident
            if notification.event is EventType.OPENED and incident and incident.account_id:
                since_detection = max(0, now - notification.at) / 1_000_000
                self.recorder.metrics.observe(RECOVERY, since_detection, phase="notified")

    def _log(self, message: Message, number: int, ended: Attempt, *, is_dead: bool) -> None:
        bound = log.bind(receiver=self.receiver.name, message=message.id, attempt=number)
        result, error = ended.result, ended.error
        if ended.is_taken and not self.receiver.is_log:  # else it stands there already
            bound.info("delivered", **_about(message.notifications))
        if isinstance(result, Receipt) and self._is_failing:
            bound.info("receiver works again")
        if error is not None:
            bound = bound.bind(reason=error.reason, error=str(error))
        if is_dead:
            incidents = [sent.incident.id for sent in message.notifications if sent.incident]
            bound.error("given up", incidents=incidents[:20])
        elif isinstance(result, Receipt) and error is not None:
            if result.refused:
                bound.error("some addresses refuse it for good")
            elif number == 1:
                bound.warning("some addresses did not take it, will try again")
        elif error is not None and not self._is_failing:
            bound.warning("not delivered, will try again")
        self._is_failing = isinstance(result, DeliveryError)


def _about(notifications: Sequence[Notification]) -> dict[str, object]:
    """Return what a log line says of what was sent; of many, how many, and whom the first is of."""
    first = notifications[0]
    about: dict[str, object] = {"events": sorted({str(each.event) for each in notifications})}
    about["workspace"] = first.workspace
    if first.incident:
        about["incident"] = first.incident.id
    if first.account:
        about["account_name"] = bare(clean(first.account.name))
    if len(notifications) > 1:
        about["notifications"] = len(notifications)
    return about

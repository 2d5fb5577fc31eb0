"""Asks how a workspace is paid for: now and then after a poll, and when accounts freeze or thaw.

Nothing is written, and no transaction made, while the answer is what is recorded.
"""

import asyncio
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide.subscription import (
    SUBSCRIPTION_WAIT,
    check,
    connected,
    recorded_conditions,
)
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import SUBSCRIPTION, Cause, Workspace
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.core.subscription import Conditions, Subscription, find_conditions
from monitor.source.client import LinkedApi
from monitor.store import incidents

from .record import Recorded, Recorder, publish, record

RETRY: Final = Duration.parse("5m")
"""After what time it is asked again after there was no answer, if it is not due before."""

PASSING: Final = (Cause.UNREACHABLE, Cause.RATE_LIMITED)

log = structlog.get_logger("subscription")


class SubscriptionCheck:
    """Asks about the subscription of one workspace, while it is held under *term*.

    *conditions* is what is recorded to be wrong with it; None: that has to be read first. With
    *every* None nobody asks.
    """

    def __init__(
        self,
        workspace: str,
        term: int,
        *,
        source: LinkedApi,
        policy: IncidentPolicy,
        routing: Routing,
        every: Duration | None,
        recorder: Recorder,
    ) -> None:
        self.conditions: Conditions | None = None
        self.every = every
        self._workspace = workspace
        self._term = term
        self._source = source
        self._policy = policy
        self._routing = routing
        self._recorder = recorder
        self._monotonic = recorder.runtime.monotonic
        self._due_at = 0.0
        self._refusal = ""

    def reconfigure(
        self,
        policy: IncidentPolicy,
        routing: Routing,
        source: LinkedApi,
        *,
        every: Duration | None,
    ) -> None:
        """Use another configuration from now on."""
        if source is not self._source:
            self._refusal = ""
        self._source, self._policy, self._routing, self.every = source, policy, routing, every
        if every is not None:
            self._due_at = min(self._due_at, self._monotonic() + every.seconds)

    def start_after(self, seconds: float) -> None:
        """Ask so many seconds from now at the earliest."""
        self._due_at = self._monotonic() + seconds

    @property
    def is_due(self) -> bool:
        """Whether it is to be asked after a poll."""
        return self.every is not None and self._monotonic() >= self._due_at

    async def ask(self) -> Subscription | None:
        """Ask now, and wait for the answer for a limited time; None: nobody knows.

        That the token may not ask is logged once.
        """
        if self.every is None:
            return None
        self._due_at = self._monotonic() + min(RETRY, self.every).seconds
        try:
            async with asyncio.timeout(SUBSCRIPTION_WAIT.seconds):
                subscription = await self._source.get_subscription()
        except TimeoutError:
            return None
        except ApiError as error:
            if error.cause not in PASSING:
                self._refuse(str(error))
            return None
        self._due_at = self._monotonic() + self.every.seconds
        self._refusal = ""
        return subscription

    def _refuse(self, refusal: str) -> None:
        assert self.every is not None
        self._due_at = self._monotonic() + self.every.seconds
        if refusal != self._refusal:
            self._refusal = refusal
            log.warning(
                "the subscription can't be asked about: nobody is warned of its end",
                workspace=self._workspace,
                error=refusal,
                hint="`subscription: false` asks no more",
            )

    async def check(self, workspace: Workspace) -> Decision | None:
        """Ask, and record what is new for *workspace*, which was just read; None: nothing is.

        Raise StoreError if it could not be recorded, LeaseLostError if another replica has taken
        over.
        """
        subscription = await self.ask()
        if subscription is None or self._is_known(subscription, workspace):
            return None
        due_at, self._due_at = self._due_at, 0.0
        self.conditions = None  # until it is known to be committed
        recorded, self.conditions = await self._recorder.store.run(
            lambda tx: self._commit(tx, workspace, subscription), of=(self._workspace,)
        )
        self._due_at = due_at
        publish(recorded, self._recorder)
        return recorded.decision

    def _is_known(self, subscription: Subscription, workspace: Workspace) -> bool:
        recorded = self.conditions
        if recorded is None:
            return False
        return find_conditions(subscription, connected(workspace), recorded) == recorded

    def note(self, decision: Decision) -> None:
        """Note what was committed of it."""
        for incident in decision.incidents:
            if incident.about == SUBSCRIPTION:
                self.conditions = recorded_conditions(incident if incident.is_open else None)

    def _commit(
        self, tx: Connection, workspace: Workspace, subscription: Subscription
    ) -> tuple[Recorded, Conditions]:
        """Record what the answer means; return that, and what is wrong by now."""
        incident = incidents.load_open(tx, self._workspace).get(SUBSCRIPTION)
        now, new_id = self._recorder.runtime.now(), self._recorder.runtime.new_id
        decision = check(workspace, subscription, incident, now=now, new_id=new_id)
        recorded = record(
            tx,
            Workspace(self._workspace),
            decision,
            policy=self._policy,
            routing=self._routing,
            now=now,
            new_id=new_id,
            term=self._term,
        )
        return recorded, find_conditions(
            subscription, connected(workspace), recorded_conditions(incident)
        )

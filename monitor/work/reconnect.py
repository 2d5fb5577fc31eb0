"""Asks for a reconnection session where an account needs a login and has no link that is good.

Asking cancels the session that is running and kills its link, so it is done only where there is
none: never while a session may be in use, at most once per account and cooldown, and never twice
when the outcome of a call is unknown. A link that the list does not show may have expired: its
session is asked about before it is told again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide.sessions import conclude, has_link, needs_session
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause, IntentOutcome, Session, Workspace
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.metrics.families import SESSIONS_CREATED
from monitor.source.client import LinkedApi
from monitor.store import accounts, incidents, session_intents, sessions, workspaces
from monitor.store.session_intents import SessionIntent

from .record import Recorded, Recorder, publish, record

ENDED: Final = ("success", "expired", "error", "cancelled")
"""The words of a session that is over; any other may be in use, and is never replaced."""

REFUSALS: Final = ("invalidRequestPayload", "accountNotFound", "accountIdRequired")

log = structlog.get_logger("reconnect")


@dataclass(frozen=True, slots=True)
class _Claimed:
    """An intent that is ours, the session that there is, and what may be done about it.

    What a person wants is asked for however lately, or seldom, sessions are asked for.
    """

    intent: SessionIntent
    session: Session | None
    is_needed: bool
    may_create: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """What asking came to: the *session* that there is now, a new one or the one before.

    *is_over* says that the one before has ended.
    """

    outcome: IntentOutcome
    session: Session | None = None
    is_over: bool = False


@dataclass(slots=True)
class Reconnector:
    """Asks for and about sessions of one workspace, one at a time, while it is held under *term*.

    *is_sure* says whether the workspace is still ours, however long ago that was committed.
    """

    workspace: str
    term: int
    source: LinkedApi
    policy: IncidentPolicy
    routing: Routing
    create: bool
    cooldown: Duration
    recorder: Recorder
    is_sure: Callable[[], bool] = lambda: True

    def reconfigure(
        self,
        policy: IncidentPolicy,
        routing: Routing,
        source: LinkedApi,
        *,
        create: bool,
        cooldown: Duration,
    ) -> None:
        """Use another configuration from now on."""
        self.policy, self.routing, self.source = policy, routing, source
        self.create, self.cooldown = create, cooldown

    async def reconnect(self) -> IntentOutcome | None:
        """Process one committed intent; return how it ended, or None if there was none.

        Raise LeaseLostError if another replica has taken over.
        """
        store = self.recorder.store
        claimed = await store.run(self._claim, of=(self.workspace,))
        if claimed is None:
            return None
        intent, answer = claimed.intent, await self._ask(claimed)
        outcome = answer.outcome
        recorded = await store.run(
            lambda tx: self._finish(tx, claimed, answer), of=(self.workspace,)
        )
        publish(recorded, self.recorder)
        self.recorder.metrics.count(SESSIONS_CREATED, workspace=self.workspace, outcome=outcome)
        log.info(
            "reconnection session asked for",
            workspace=self.workspace,
            account=intent.account_id,
            reason="a person wants it" if intent.act_id else "no link in the account list",
            outcome=outcome,
        )
        return outcome

    def _claim(self, tx: Connection) -> _Claimed | None:
        workspaces.check_term(tx, self.workspace, self.term)
        session_intents.mark_unknown(tx, self.workspace)  # one at a time: any other has been lost
        intent = session_intents.claim(tx, self.workspace)
        if intent is None:
            return None
        account = accounts.load(tx, self.workspace, intent.account_id)
        incident = incidents.load(tx, intent.incident_id)
        before = sessions.load(tx, self.workspace, intent.account_id)
        now = self.recorder.runtime.now()
        return _Claimed(
            intent,
            before,
            is_needed=needs_session(account, incident, None if intent.act_id else before),
            may_create=intent.act_id is not None
            or (
                self.create and session_intents.may_ask(tx, intent, cooldown=self.cooldown, now=now)
            ),
        )

    async def _ask(self, claimed: _Claimed) -> _Answer:
        before, is_wanted = claimed.session, claimed.intent.act_id is not None
        if not claimed.is_needed or not (self.create or is_wanted or has_link(before)):
            return _Answer(IntentOutcome.NEEDLESS)
        session_id = before.id if before else None
        try:
            if session_id and await self._is_live(session_id):
                is_needless = has_link(before) and not is_wanted
                outcome = IntentOutcome.NEEDLESS if is_needless else IntentOutcome.KEPT
                return _Answer(outcome, before)
        except ApiError as error:  # it was only a question
            return _Answer(IntentOutcome.LATER if error.ambiguous else _outcome(error))
        if claimed.may_create:
            answer = await self._create(claimed.intent.account_id)
        else:
            answer = _Answer(IntentOutcome.LATER if self.create else IntentOutcome.NEEDLESS)
        return replace(answer, is_over=session_id is not None)

    async def _create(self, account_id: str) -> _Answer:
        if not self.is_sure():  # whoever has taken over may have asked for one by now
            return _Answer(IntentOutcome.LATER)
        try:
            session = await self.source.create_reconnection_session(account_id)
        except ApiError as error:
            return _Answer(_outcome(error))
        return _Answer(IntentOutcome.CREATED, session)

    async def _is_live(self, session_id: str) -> bool:
        try:
            return await self.source.get_connection_session(session_id) not in ENDED
        except ApiError as error:
            if error.type == "sessionNotFound":
                return False
            raise

    def _finish(self, tx: Connection, claimed: _Claimed, answer: _Answer) -> Recorded:
        intent, runtime = claimed.intent, self.recorder.runtime
        now, new_id = runtime.now(), runtime.new_id
        session_intents.finish(tx, intent, answer.outcome)
        account = accounts.load(tx, self.workspace, intent.account_id)
        incident = incidents.load(tx, intent.incident_id)
        decision = conclude(
            incident,
            account,
            answer.session,
            before=claimed.session,
            is_over=answer.is_over,
            now=now,
            new_id=new_id,
        )
        return record(
            tx,
            Workspace(self.workspace, accounts={account.id: account} if account else {}),
            decision,
            policy=self.policy,
            routing=self.routing,
            now=now,
            new_id=new_id,
            term=self.term,
        )


def _outcome(error: ApiError) -> IntentOutcome:
    if error.type in REFUSALS:
        return IntentOutcome.REFUSED
    if error.type == "dailyConnectionAttemptsExceeded":
        return IntentOutcome.LIMITED
    if error.ambiguous:
        return IntentOutcome.UNKNOWN
    is_passing = error.cause in (Cause.RATE_LIMITED, Cause.UNREACHABLE)
    return IntentOutcome.LATER if is_passing else IntentOutcome.REFUSED

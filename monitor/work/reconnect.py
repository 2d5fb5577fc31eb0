"""Asks for a reconnection session where an account needs a login and has no link.

Asking cancels the session that is running and kills its link, so it is done only where there is
none: never while a session may be in use, at most once per account and cooldown, and never twice
when the outcome of a call is unknown.
"""

from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide.sessions import conclude, needs_session
from monitor.core.errors import ApiError
from monitor.core.model import Account, Cause, IntentOutcome, Session, Workspace
from monitor.core.route import Routing
from monitor.metrics.families import SESSIONS_CREATED
from monitor.source.client import LinkedApi
from monitor.store import accounts, incidents, session_intents
from monitor.store.session_intents import SessionIntent

from .record import Recorded, Recorder, publish, record

ENDED: Final = ("success", "expired", "error", "cancelled")
"""The words of a session that is over; any other may be in use, and is never replaced."""

REFUSALS: Final = ("invalidRequestPayload", "accountNotFound", "accountIdRequired")

log = structlog.get_logger("reconnect")


class Reconnector:
    """Asks for the sessions that one workspace lacks, one at a time."""

    def __init__(
        self,
        workspace: str,
        *,
        source: LinkedApi,
        routing: Routing,
        create: bool,
        recorder: Recorder,
    ) -> None:
        self._workspace = workspace
        self._source = source
        self._recorder = recorder
        self._store = recorder.store
        self._metrics = recorder.metrics
        self._routing = routing
        self._create = create
        self._runtime = recorder.runtime

    def reload(self, routing: Routing, source: LinkedApi, *, create: bool) -> None:
        """Go by another configuration from now on."""
        self._routing, self._source, self._create = routing, source, create

    async def reconnect(self) -> IntentOutcome | None:
        """Take up one committed intent; return how it ended, or None if there was none."""
        intent = await self._store.run(self._claim)
        if intent is None:
            return None
        account = await self._store.run(
            lambda tx: accounts.load(tx, self._workspace, intent.account_id)
        )
        outcome, session = await self._ask(account, intent)
        recorded = await self._store.run(lambda tx: self._finish(tx, intent, outcome, session))
        publish(recorded, self._recorder)
        self._metrics.count(SESSIONS_CREATED, workspace=self._workspace, outcome=outcome)
        log.info(
            "reconnection session asked for",
            workspace=self._workspace,
            account=intent.account_id,
            reason="no link in the account list",
            outcome=outcome,
        )
        return outcome

    def _claim(self, tx: Connection) -> SessionIntent | None:
        session_intents.mark_unknown(tx, self._workspace)  # one at a time: any other has been lost
        return session_intents.claim(tx, self._workspace)

    async def _ask(
        self, account: Account | None, intent: SessionIntent
    ) -> tuple[IntentOutcome, Session | None]:
        if account is None or not self._create or not needs_session(account, intent.incident_id):
            return IntentOutcome.NEEDLESS, None
        try:
            if account.session and account.session.id and await self._is_live(account.session.id):
                return IntentOutcome.KEPT, None
            session = await self._source.create_reconnection_session(account.id)
        except ApiError as error:
            return _outcome(error), None
        return IntentOutcome.CREATED, session

    async def _is_live(self, session_id: str) -> bool:
        try:
            return await self._source.get_connection_session(session_id) not in ENDED
        except ApiError as error:
            if error.type == "sessionNotFound":
                return False
            raise

    def _finish(
        self, tx: Connection, intent: SessionIntent, outcome: IntentOutcome, session: Session | None
    ) -> Recorded:
        now = self._runtime.now()
        session_intents.finish(tx, intent, outcome)
        account = accounts.load(tx, self._workspace, intent.account_id)
        decision = conclude(
            incidents.load(tx, intent.incident_id),
            account,
            session,
            now=now,
            new_id=self._runtime.new_id,
        )
        return record(
            tx,
            Workspace(self._workspace, accounts={account.id: account} if account else {}),
            decision,
            routing=self._routing,
            group_over=1,
            now=now,
            new_id=self._runtime.new_id,
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

"""Asks for a reconnection session where an account needs a login and has no link.

Asking cancels the session that is running and kills its link, so it is done only where there is
none: never while a session may be in use, at most once per account and cooldown, and never twice
when the outcome of a call is unknown.
"""

from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide.sessions import conclude, needs_session
from monitor.core.errors import ApiError
from monitor.core.model import Account, Cause, IntentOutcome, Session, Workspace
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


@dataclass(slots=True)
class Reconnector:
    """Asks for the sessions that one workspace lacks, one at a time, under the claim *term*."""

    workspace: str
    term: int
    source: LinkedApi
    routing: Routing
    create: bool
    recorder: Recorder

    def reconfigure(self, routing: Routing, source: LinkedApi, *, create: bool) -> None:
        """Use another configuration from now on."""
        self.routing, self.source, self.create = routing, source, create

    async def reconnect(self) -> IntentOutcome | None:
        """Process one committed intent; return how it ended, or None if there was none.

        Raise LeaseLostError if another monitor has taken over.
        """
        store = self.recorder.store
        claimed = await store.run(self._claim)
        if claimed is None:
            return None
        intent, account, before = claimed
        outcome, session = await self._ask(account, before)
        recorded = await store.run(lambda tx: self._finish(tx, intent, outcome, session))
        publish(recorded, self.recorder)
        self.recorder.metrics.count(SESSIONS_CREATED, workspace=self.workspace, outcome=outcome)
        log.info(
            "reconnection session asked for",
            workspace=self.workspace,
            account=intent.account_id,
            reason="no link in the account list",
            outcome=outcome,
        )
        return outcome

    def _claim(self, tx: Connection) -> tuple[SessionIntent, Account | None, Session | None] | None:
        """Claim the next intent; return it, its account if that needs one, and its session."""
        workspaces.check_term(tx, self.workspace, self.term)
        session_intents.mark_unknown(tx, self.workspace)  # one at a time: any other has been lost
        intent = session_intents.claim(tx, self.workspace)
        if intent is None:
            return None
        account = accounts.load(tx, self.workspace, intent.account_id)
        incident = incidents.load(tx, intent.incident_id)
        before = sessions.load(tx, self.workspace, intent.account_id)
        return intent, account if needs_session(account, incident, before) else None, before

    async def _ask(
        self, account: Account | None, before: Session | None
    ) -> tuple[IntentOutcome, Session | None]:
        if account is None or not self.create:
            return IntentOutcome.NEEDLESS, None
        try:
            if before and before.id and await self._is_live(before.id):
                return IntentOutcome.KEPT, None
            session = await self.source.create_reconnection_session(account.id)
        except ApiError as error:
            return _outcome(error), None
        return IntentOutcome.CREATED, session

    async def _is_live(self, session_id: str) -> bool:
        try:
            return await self.source.get_connection_session(session_id) not in ENDED
        except ApiError as error:
            if error.type == "sessionNotFound":
                return False
            raise

    def _finish(
        self, tx: Connection, intent: SessionIntent, outcome: IntentOutcome, session: Session | None
    ) -> Recorded:
        runtime = self.recorder.runtime
        now, new_id = runtime.now(), runtime.new_id
        session_intents.finish(tx, intent, outcome)
        account = accounts.load(tx, self.workspace, intent.account_id)
        incident = incidents.load(tx, intent.incident_id)
        return record(
            tx,
            Workspace(self.workspace, accounts={account.id: account} if account else {}),
            conclude(incident, account, session, now=now, new_id=new_id),
            routing=self.routing,
            group_over=1,
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

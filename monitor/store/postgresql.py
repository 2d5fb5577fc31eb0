"""Everything that is particular to PostgreSQL.

Rules:
1. What was read in a transaction that writes holds until the commit: it begins by locking the
   workspaces that it concerns, or the whole schema (`locks`). What only reads takes no lock; all
   that it reads is of one moment.
2. Nothing waits for ever: not for a connection, a lock, a statement or a network that went away.
3. What is set is set for one transaction, and no statement is prepared: so a pooler that hands out
   connections by transaction does no harm.
4. No error names the user, the password or a parameter of the address.
"""

import math
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from monitor.core.duration import Duration

from . import locks
from .access import MAX_READ, Concerned, Database
from .address import describe
from .errors import StoreError, failed

_SETTINGS: Final = {
    "application_name": "linkedapi-monitor",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "2",
    "tcp_user_timeout": "15000",
}
"""Our name and how long the network may take, in libpq's words; storage.url may say otherwise."""

_BEGIN: Final = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL join_collapse_limit = 1;
SET LOCAL lock_timeout = '30s';
SET LOCAL statement_timeout = '60s';
SET LOCAL idle_in_transaction_session_timeout = '10s';
"""
"""As no plan is kept, tables are joined as they are written: other orders take long to weigh.

A lock is waited for longer than a monitor that was stopped or cut off may keep it: for as long as
it lay idle, and before that waited for another one that had been.
"""

_BEGIN_READ: Final = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '{MAX_READ.seconds:.0f}s';
SET LOCAL idle_in_transaction_session_timeout = '10s'
"""

MAX_TRANSACTION: Final = Duration.parse("5m")
"""How long a transaction may take. A server that was stopped says nothing, and its host goes on
answering for it: neither its own limits nor those of the network end the wait."""

CHECK_EVERY: Final = Duration.parse("500ms")
"""How often it is looked at whether one has taken longer."""

MAX_SILENT_READ: Final = Duration.parse("40s")
"""The same for what only reads: the server itself ends it after MAX_READ."""

_ADVICE: Final = {
    **dict.fromkeys(
        ("bad value", "invalid connection option", "invalid integer value"),
        "check the parameters in storage.url",
    ),
    "password authentication failed": "check the user and the password in storage.url",
    "no password supplied": "put the user and the password into storage.url",
    "pg_hba.conf": "let this host in with that user, or check sslmode in storage.url",
    "certificate": "check sslmode and sslrootcert in storage.url",
    "permission denied for database": "grant the user CONNECT on it",
    "permission denied": "grant the user USAGE and CREATE on the schema, and the tables",
    "no schema has been selected": "grant the user USAGE and CREATE on the schema",
    "must be owner": "run the monitor as the user that made the tables",
    "already exists": "give the monitor a database or a schema of its own",
    "closed the connection": "it is used again as soon as it is back",
    "relation": "its tables are not the monitor's; put a backup in its place",
    "does not exist": "create the database and its user, or check storage.url",
    "read-only transaction": "name the primary server in storage.url",
    "connection slots": "raise max_connections, or find what uses so many",
    "too many": "raise max_connections, or find what uses so many",
    "statement timeout": "it was asked for too much at once, or is busy",
    "lock timeout": "another program has held a lock for long; end that one",
    "refused": "is the server running, and does it listen there?",
    "timeout": "is the server running, and can it be reached from here?",
    "resolve": "check the host in storage.url",
}

_READ_ONLY: Final = "25006"
"""What a server answers (SQLSTATE) that takes no writes."""

_FAILED: Final = re.compile(r"failed: (?:(?:FATAL|ERROR|PANIC):\s*)?(?!connection)([^\n]+)")


class TransactionTimeout:
    """Breaks the connection off when a transaction has taken too long.

    A thread looks at that every moment: to start one for each transaction takes longer than most.
    """

    def __init__(self, engine: Engine, *, read_only: bool) -> None:
        self._read_only = read_only
        self._connection: Any = None
        self._until = math.inf
        self._is_over = threading.Event()
        event.listen(engine, "connect", self._follow)
        event.listen(engine, "engine_disposed", lambda _: self._is_over.set())
        threading.Thread(target=self._watch, name="store-limit", daemon=True).start()

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Limit the time of the transaction within this context."""
        at_most = MAX_SILENT_READ if self._read_only else MAX_TRANSACTION
        self._until = time.monotonic() + at_most.seconds
        try:
            yield
        finally:
            self._until = math.inf

    def _watch(self) -> None:
        while not self._is_over.wait(CHECK_EVERY.seconds):
            if time.monotonic() > self._until:
                self._break_off()

    def _follow(self, connection: Any, _: Any) -> None:
        self._connection = connection

    def _break_off(self) -> None:
        with suppress(Exception), socket.socket(fileno=os.dup(self._connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def connect(address: URL, *, read_only: bool) -> Database:
    """Return a connection to the database at *address*, to read it or to write to it."""
    name = describe(address)
    parameters = chain.from_iterable(address.normalized_query.values())
    secrets = [address.username, address.password, *parameters]
    try:
        engine = create_engine(
            address.set(drivername="postgresql+psycopg", query={**_SETTINGS, **address.query}),
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # BEGIN is ours, with all that belongs to it at once
            use_native_hstore=False,
            connect_args={"prepare_threshold": None, "client_encoding": "UTF8"},
        )
    except ArgumentError:
        raise StoreError(
            f"the database {name} can't be used: a parameter in storage.url is wrong"
        ) from None
    except ImportError:
        raise StoreError(
            f"the database {name} needs the driver psycopg, which deploy/install brings"
        ) from None

    @event.listens_for(engine, "connect")
    def _check(connection: Any, _: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"the database {name} can't store every name: its encoding is {encoding}; create"
                " it with ENCODING 'UTF8'"
            )

    @event.listens_for(engine, "handle_error")
    def _leave(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True  # another server is the primary by now, at this address

    def begin(tx: Connection, of: Concerned) -> None:
        tx.exec_driver_sql(_BEGIN_READ if read_only else _BEGIN + locks.statement(of))

    def explain(error: SQLAlchemyError) -> StoreError:
        message = str(getattr(error, "orig", None) or error)
        reasons = _FAILED.findall(message) or [message.partition("\n")[0]]
        return failed(name, _without(reasons[-1].strip()[:200], secrets), _ADVICE)

    timeout = TransactionTimeout(engine, read_only=read_only)
    return Database(engine, explain, begin, timeout.limit)


def _without(reason: str, secrets: Iterable[str | None]) -> str:
    """Return *reason* without what was quoted of the address."""
    for secret in filter(None, secrets):
        reason = reason.replace(f'"{secret}"', '"…"').replace(f"'{secret}'", "'…'")
    return reason

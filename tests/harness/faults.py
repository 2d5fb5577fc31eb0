"""Faults of a real SQLite database, for as long as a test lets them last.

    with failing_writes(store):                # reads succeed, no write does
    with failing_writes(store, "event"):       # writes to one table fail, after others succeeded
    with failing_reads(store):                 # writes succeed, and what they read; nothing else
    with locked(store):                        # nothing succeeds: another program is writing
    with full_disk(store):                     # the file can't grow; what fits into it is written
    with lost_answers(store):                  # what is written is committed, but nobody is told

Each raises StoreError where the store is used.
"""

import sqlite3
from contextlib import closing, contextmanager

from sqlalchemy import text


def run(store, work):
    """Run *work* on the store's own thread: a store in use has no second connection then."""
    return store._writing._threads.submit(store.run_now, work).result()


WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)


@contextmanager
def failing_writes(store, table=None):
    """Let the database refuse every write, or those to *table*, as to a user who may only read."""

    def authorize(action, name, *_):
        is_refused = action in WRITES and table in (None, name)
        return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK

    def use(authorizer):
        run(store, lambda tx: tx.connection.driver_connection.set_authorizer(authorizer))

    use(authorize)
    try:
        yield
    finally:
        use(None)


@contextmanager
def failing_reads(store):
    """Let nothing be read but by who writes."""
    engines = [database.engine for database in store._reading._databases]

    def use(authorizer):
        for engine in engines:
            with closing(engine.raw_connection()) as connection:
                connection.driver_connection.set_authorizer(authorizer)

    use(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_READ else 0)
    try:
        yield
    finally:
        use(None)


@contextmanager
def locked(store):
    """Let another program keep the database locked; the store waits for it no longer than 1 ms."""
    file = run(store, lambda tx: tx.engine.url.database)
    run(store, lambda tx: tx.execute(text("PRAGMA busy_timeout = 1")))
    program = sqlite3.connect(file, isolation_level=None)
    program.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        program.close()


@contextmanager
def full_disk(store):
    """Let the file of the database grow no more."""

    def execute(pragma):
        return run(store, lambda tx: tx.execute(text(f"PRAGMA {pragma}")).scalar())

    execute(f"max_page_count = {execute('page_count')}")
    try:
        yield
    finally:
        execute(f"max_page_count = {2**31}")


@contextmanager
def lost_answers(store):
    """Let every commit succeed, and fail for who asked for it."""
    dialect = store._writing._databases[0].engine.dialect
    commit = dialect.do_commit

    def commit_unanswered(connection):
        commit(connection)
        raise sqlite3.OperationalError("the answer was lost")

    dialect.do_commit = commit_unanswered
    try:
        yield
    finally:
        dialect.do_commit = commit

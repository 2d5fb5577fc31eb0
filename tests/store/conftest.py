"""The store's tests run on both databases."""

from contextlib import contextmanager
from importlib.resources import files

import pytest
from sqlalchemy import create_engine, text


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The address of an empty database; its tables may be there if the test opens its store."""
    if request.param == "postgresql":
        is_opened = "store" in request.fixturenames
        return request.getfixturevalue("postgres_tables_url" if is_opened else "postgres_url")
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.fixture
def directly(database_url):
    """Open the database as another program would: a transaction, and no rules."""

    @contextmanager
    def connected():
        engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
        try:
            with engine.begin() as tx:
                yield tx
        finally:
            engine.dispose()

    return connected


@pytest.fixture
def execute(directly):
    def run(*statements):
        with directly() as tx:
            for statement in statements:
                tx.execute(text(statement))

    return run


@pytest.fixture
def next_version(tmp_path):
    """A folder with the tables of the next version, and the migration that leads there."""
    folder = tmp_path / "next"
    (folder / "migrations").mkdir(parents=True)
    declared = (files("monitor.store") / "schema.sql").read_text()
    changed = declared.replace("next_due_at BIGINT", "next_due_at BIGINT,\n    note TEXT", 1)
    (folder / "schema.sql").write_text(changed)
    (folder / "migrations/0002_note.sql").write_text(
        "-- What people wrote.\nALTER TABLE incident ADD COLUMN note TEXT;\n"
    )
    (folder / "migrations/README.md").touch()
    return folder

import json
from pathlib import Path

import pytest
from harness.core import HOUR, listed_account, signed_out
from harness.store import StoreHarness

from monitor.cli import database
from monitor.core.duration import Duration
from monitor.store import workspaces


@pytest.fixture
def left(harness: StoreHarness):
    """A database with an account that is still listed and two that have left."""
    rest = [listed_account(f"ok{number}") for number in range(4)]
    gone = [signed_out(id_, name="Zebulon Quagga") for id_ in ("zeb1", "zeb2")]
    harness.poll(*rest, *gone)
    harness.deliver()
    for _ in range(3):
        harness.poll(*rest, after=HOUR)
    return harness


def test_a_person_who_was_connected_anew_is_erased_under_each_id(run, configured, left):
    rest = [listed_account(f"ok{number}") for number in range(4)]
    person = {"name": "Quentin Zorn", "url": "https://www.linkedin.com/in/quentin/"}
    left.poll(*rest, listed_account("new1", **person))
    for _ in range(4):
        left.poll(*rest, listed_account("new2", **person))
    assert "is still listed" in refused(run("forget", "Quentin Zorn", "-c", configured()))
    for _ in range(4):
        left.poll(*rest)

    rows = run("forget", "Quentin Zorn", "-c", configured()).data

    assert len({row["erased_as"] for row in rows}) == 2
    assert left.column("SELECT id FROM account WHERE name = 'Quentin Zorn'") == []
    (successor,) = left.column("SELECT replaced_by FROM account WHERE replaced_by IS NOT NULL")
    assert successor in {row["erased_as"] for row in rows}


def refused(ran):
    assert (ran.code, ran.out) == (5, "")
    return json.loads(ran.err)["message"]


def test_who_has_left_is_erased(run, configured, left):
    (row,) = run("forget", "zeb1", "--by", "Ann", "-c", configured()).data

    assert left.column("SELECT act || actor || subject FROM act") == [
        f"forgetAnn{row['erased_as']}"
    ]
    assert (row["workspace"], row["cancelled"]) == ("acme", 1)
    assert row["erased_as"] in left.column("SELECT id FROM account WHERE name = ''")
    assert left.column("SELECT id FROM account WHERE name = 'Zebulon Quagga'") == ["zeb2"]
    assert left.column("SELECT version FROM workspace WHERE name = 'acme'") == [1]
    log = Path(f"{left.store.name}-wal")
    assert log.read_bytes() == b""


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("ok1", "ok1 (Person ok1, acme) is still listed: disconnect or ignore it first"),
        ("Person ok1", "is still listed"),
        ("nobody", "no account has the id or the name 'nobody'"),
        ("", "no account has the id or the name ''"),
        ("Zebulon Quagga", "name one by its id: zeb1 (Zebulon Quagga, acme), zeb2 (Zebulon"),
        ("zeb", "can be several accounts"),
    ],
)
def test_what_can_not_be_erased_is_one_line_and_exit_5(run, configured, word, words):
    assert words in refused(run("forget", word, "-c", configured()))


def test_an_account_of_a_workspace_that_left_is_listed_for_a_day(run, configured, left):
    left.run(lambda tx: workspaces.attach(tx, ["old"]))
    left.run(lambda tx: tx.exec_driver_sql("UPDATE account SET workspace = 'old' WHERE id = 'ok1'"))

    message = refused(run("forget", "ok1", "-c", configured()))

    assert "until its workspace has been out of the configuration for a day" in message


def test_nothing_is_erased_while_a_message_about_it_is_being_sent(run, configured, left):
    left.claim()

    assert "is being sent: try again" in refused(run("forget", "zeb1", "-c", configured()))
    assert left.column("SELECT COUNT(*) FROM account WHERE name = ''") == [0]


def test_what_is_left_in_the_log_of_the_database_is_warned_of(run, configured, left, monkeypatch):
    monkeypatch.setattr(database, "ERASE_WAIT", Duration.parse("20ms"))
    with left.store.snapshot() as tx:
        tx.exec_driver_sql("SELECT 1 FROM account").first()

        ran = run("forget", "zeb1", "-c", configured())

    assert ran.code == 0
    assert ran.err.startswith("warning: former pages are still in the -wal file")

import json
from threading import Event, Thread

import pytest
from harness.core import LINK
from sqlalchemy import text

from monitor.app import process
from monitor.cli import waiting
from monitor.core.duration import Duration
from monitor.store.db import Store


@pytest.fixture
def act(run, configured, recorded, monkeypatch):
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    monkeypatch.setattr(waiting, "LOOK_EVERY", Duration.parse("10ms"))
    file = configured()
    return lambda *arguments: run("reconnect", "-c", file, *arguments)


@pytest.fixture
def answer(recorded, monkeypatch):
    """Let a monitor answer the next request for a link with an outcome."""
    is_asked, run_now, threads = Event(), Store.run_now, []
    assert recorded.store.lock_now()

    def note(store, work, **options):
        result = run_now(store, work, **options)
        is_asked.set()
        return result

    def give(outcome):
        monkeypatch.setattr(Store, "run_now", note)
        finish = text("UPDATE session_intent SET outcome = :outcome")

        def work():
            is_asked.wait()
            run_now(recorded.store, lambda tx: tx.execute(finish, {"outcome": outcome}))

        threads.append(Thread(target=work))
        threads[0].start()

    yield give
    for thread in threads:
        thread.join()


def test_what_came_of_it_is_waited_for(act, answer, recorded):
    answer("created")

    ran = act("Person out", "--by", "Ann", "--reason", "the link was used up")

    (row,) = ran.data
    assert (ran.code, row["account_id"], row["outcome"]) == (0, "out", "created")
    assert LINK not in ran.out
    assert recorded.column("SELECT act || ' ' || actor || ' ' || subject FROM act") == [
        "reconnect Ann out"
    ]


def test_the_link_is_shown_if_it_is_asked_for(act, answer):
    answer("kept")

    assert act("out", "--show-links").data[0]["link"] == LINK


@pytest.mark.parametrize("outcome", ["refused", "limited", "unknown"])
def test_no_link_is_exit_1(act, answer, outcome):
    answer(outcome)

    ran = act("out")

    assert (ran.code, ran.data[0]["outcome"]) == (1, outcome)


def test_if_no_monitor_runs_that_is_said_at_once_and_one_that_starts_does_it(act, recorded):
    ran = act("--workspace", "acme", "--cause", "reconnection_required")

    assert (ran.code, [row["outcome"] for row in ran.data]) == (0, ["wanted"])
    assert "no monitor is running: it is done when one starts" in ran.err
    assert recorded.column("SELECT outcome FROM session_intent") == ["wanted"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cold"], "no login link is needed: no such account is signed out of LinkedIn"),
        (["ok"], "no incident has the id 'ok'"),
        ([], "name an account or an incident, or a set of them"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_exit_5(act, arguments, words):
    ran = act(*arguments)

    assert (ran.code, ran.out) == (5, "")
    assert words in json.loads(ran.err)["message"]

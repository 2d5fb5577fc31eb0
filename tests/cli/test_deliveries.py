import json
from threading import Event, Thread

import pytest
from harness.core import listed_account, signed_out
from harness.store import REFUSED

from monitor.app import process
from monitor.cli import waiting
from monitor.core.duration import Duration
from monitor.store.db import Store


@pytest.fixture
def act(run, configured, recorded, monkeypatch):
    """Do something about the deliveries: one is delivered, one is to be tried again."""
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    monkeypatch.setattr(waiting, "MAX_WAIT", Duration.parse("100ms"))
    recorded.deliver(error=REFUSED)
    file = configured()
    return lambda *arguments: run("deliveries", *arguments, "-c", file)


def of_state(recorded, state):
    return recorded.column(f"SELECT message_id FROM notification WHERE state = '{state}'")


def test_one_is_tried_again_and_nobody_waits_for_a_monitor_that_is_not_there(
    act, recorded, monkeypatch
):
    monkeypatch.setattr(waiting, "MAX_WAIT", Duration.parse("1h"))
    monkeypatch.setattr(waiting, "LOOK_EVERY", Duration(-1))  # nobody can sleep so long
    (id_,) = of_state(recorded, "pending")

    ran = act("retry", id_, "--by", "Ann", "--reason", "the channel is back")

    (row,) = ran.data
    assert (row["message_id"], row["state"], row["last_answer"]) == (id_, "pending", "HTTP 500")
    assert ran.err == "warning: no monitor is running: it is done when one starts\n"
    assert recorded.column("SELECT act || actor || reason FROM act") == [
        "retryAnnthe channel is back"
    ]
    assert recorded.deliver() is not None


def test_it_waits_for_what_a_monitor_that_runs_makes_of_it(act, recorded, monkeypatch):
    monkeypatch.setattr(waiting, "MAX_WAIT", Duration.parse("1h"))
    (id_,) = of_state(recorded, "pending")
    is_tried, run_now = Event(), Store.run_now

    def note(store, work, **options):
        result = run_now(store, work, **options)
        if store is not recorded.store:
            is_tried.set()
        return result

    monkeypatch.setattr(Store, "run_now", note)
    assert recorded.store.lock_now()

    def deliver():
        is_tried.wait()
        recorded.deliver()

    monitor = Thread(target=deliver)
    monitor.start()
    (row,) = act("retry", id_).data
    monitor.join()

    assert row["state"] == "delivered"


def test_what_a_monitor_has_not_done_in_time_is_said(act, recorded):
    assert recorded.store.lock_now()

    ran = act("retry", "--workspace", "acme")

    assert [row["state"] for row in ran.data] == ["pending"]
    assert "it is not done after" in ran.err


def test_a_set_is_cancelled(act, recorded):
    recorded.poll(*(signed_out(id_) for id_ in ("ok", "cold", "out")))

    rows = act("cancel", "--workspace", "acme", "--receiver", "slack", "--by", "Ann").data

    assert {(row["state"], row["reason"]) for row in rows} == {("cancelled", "by_hand")}
    assert of_state(recorded, "pending") == []
    assert recorded.column("SELECT detail FROM act") == ["all for slack"]
    table = act("--table").out
    assert "by_hand" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retry"], "name a notification, or a set of them by --workspace"),
        (["cancel", "--cause", "frozen"], "name a notification, or a set"),
        (["retry", "00", "--workspace", "acme"], "name a notification, or a set"),
        (["retry", "nothing"], "no notification has the id 'nothing'"),
        (["cancel", "00"], "can be several messages, name one by its id: 00"),
        (["cancel", "--workspace", "beta"], "nothing of that is pending: nothing"),
        (["retry", "--workspace", "acme", "--receiver", "x"], "nothing of that is pending or dead"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_exit_5(act, arguments, words):
    ran = act(*arguments)

    assert (ran.code, ran.out) == (5, "")
    assert words in json.loads(ran.err)["message"]


def test_what_has_been_delivered_stays_so(act, recorded):
    (id_,) = of_state(recorded, "delivered")
    recorded.poll(*map(listed_account, ("ok", "cold", "out")))

    assert "nothing of that is pending: delivered" in act("cancel", id_).err

"""Notifications that a person has tried again, or cancels."""

from functools import partial

import pytest
from harness.core import HOUR, MINUTE, frozen, listed_account, signed_out
from harness.store import GONE, REFUSED, TIMEOUT, WRONG

from monitor.core.act import Act, ActKind, Way
from monitor.core.errors import ActError
from monitor.core.model import Cause
from monitor.store import by_hand, history, incidents, receivers
from monitor.work.act import cancel, retry


def messages(harness, *, cause=None, receiver=None):
    return harness.run(lambda tx: by_hand.of_set(tx, "acme", cause=cause, receiver=receiver))


def do(harness, work, chosen=None):
    """Do *work* on *chosen* messages, or on all; return the states of what it was done on."""
    chosen = messages(harness) if chosen is None else chosen
    act = Act(harness.new_id(), harness.now, ActKind.RETRY, Way.CLI, "ann", workspace="acme")
    ids = harness.run(lambda tx: work(tx, act, chosen, harness.new_id))
    return [row["state"] for row in harness.run(partial(by_hand.fates, message_ids=ids))]


def polled_one_by_one(harness):
    harness.poll(listed_account("a1"), listed_account("a2"))
    harness.poll(signed_out("a1"), frozen("a2"))


def test_what_waits_for_its_next_attempt_is_tried_at_once(harness):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)
    assert harness.deliver() is None

    assert do(harness, retry) == ["pending"]

    assert harness.deliver() == [("opened", "a1")]


def test_a_receiver_that_is_left_alone_is_tried_at_once(harness):
    harness.poll(signed_out())
    for _ in range(3):
        harness.deliver(error=GONE, after=HOUR)
    state = harness.run(lambda tx: receivers.load(tx, "slack"))
    assert state.not_before > harness.now

    do(harness, retry)

    assert harness.deliver() == [("opened", "a1")]


def test_what_may_have_arrived_is_not_repeated_within_a_minute(harness):
    harness.poll(signed_out())
    harness.deliver(error=TIMEOUT)

    do(harness, retry)
    assert harness.deliver() is None
    harness.now += MINUTE
    do(harness, retry)

    assert harness.deliver() == [("opened", "a1")]


def test_what_is_dead_is_sent_once_more_if_it_still_holds(harness):
    harness.poll(signed_out(), listed_account("a2"))
    harness.deliver(error=WRONG)
    assert harness.states() == [("slack", "opened", "dead", "permanent")]

    assert do(harness, retry) == ["pending"]
    with pytest.raises(ActError, match="queued once more already"):
        do(harness, retry, [it for it in messages(harness) if it.state == "dead"])

    assert harness.deliver() == [("opened", "a1")]
    assert harness.heard() == [["slack"]]
    assert harness.deliver() is None


def test_what_is_dead_and_over_is_not_sent(harness):
    harness.poll(signed_out(), listed_account("a2"))
    harness.deliver(error=WRONG)
    chosen = messages(harness)
    harness.poll(listed_account(), listed_account("a2"))

    do(harness, retry, chosen)

    assert harness.deliver() is None
    assert harness.states()[-1] == ("slack", "opened", "cancelled", "recovered")
    assert messages(harness) == []


def test_what_is_cancelled_is_not_sent_nor_its_end_told(harness):
    harness.poll(signed_out(), listed_account("a2"))

    assert do(harness, cancel) == ["cancelled"]

    assert harness.states() == [("slack", "opened", "cancelled", "by_hand")]
    harness.poll(listed_account(), listed_account("a2"))
    assert harness.deliver() is None


def test_what_waits_behind_what_is_cancelled_goes(harness):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(listed_account())
    harness.deliver(error=REFUSED)
    harness.poll(signed_out(), after=1)
    assert harness.deliver() is None
    (id_,) = harness.column("SELECT id FROM message WHERE state = 'pending' AND attempts > 0")
    resolved = harness.run(lambda tx: by_hand.find(tx, id_))

    do(harness, cancel, resolved)

    assert harness.deliver() == [("opened", "a1")]


def test_of_a_group_only_those_of_the_cause_are_cancelled(harness):
    harness.poll(signed_out("a1"), frozen("a2"))

    chosen = messages(harness, cause=Cause.FROZEN)
    do(harness, partial(cancel, cause=Cause.FROZEN), chosen)

    assert harness.deliver() == [("opened", "a1")]


def test_sets_are_chosen_by_cause_and_receiver(harness):
    polled_one_by_one(harness)

    assert len(messages(harness, cause=Cause.FROZEN)) == 1
    assert len(messages(harness, receiver="slack")) == 2
    assert messages(harness, receiver="mail") == []


@pytest.mark.parametrize("work", [retry, cancel])
def test_what_is_delivered_is_neither_sent_again_nor_cancelled(harness, work):
    harness.poll(signed_out())
    chosen = messages(harness)
    harness.deliver()
    chosen = harness.run(lambda tx: by_hand.find(tx, chosen[0].id))

    with pytest.raises(ActError, match=r"nothing of that is pending.*: delivered"):
        do(harness, work, chosen)
    with pytest.raises(ActError, match="nothing of that is pending"):
        do(harness, work, [])
    assert harness.column("SELECT COUNT(*) FROM act") == [0]


@pytest.mark.parametrize(("work", "reason"), [(retry, "tried_again"), (cancel, "cancelled")])
def test_the_history_of_each_incident_says_who_did_it(harness, work, reason):
    harness.poll(signed_out())
    do(harness, work)

    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
    loaded = harness.run(lambda tx: history.load(tx, incident.id, limit=9))

    assert [past.event.reason for past in loaded.events] == ["seen_bad", reason]
    assert [act.actor for act in loaded.acts] == ["ann"]
    assert harness.column("SELECT COUNT(*) FROM notification WHERE event = 'notice'") == [0]


def test_a_message_is_meant_by_its_id_or_that_of_a_notification_or_a_start(harness):
    polled_one_by_one(harness)
    first, second = messages(harness)
    (notification,) = harness.column(f"SELECT id FROM notification WHERE message_id = '{first.id}'")

    def find(word):
        return harness.run(lambda tx: [it.id for it in by_hand.find(tx, word)])

    assert find(first.id) == find(notification) == [first.id]
    assert find("00") == sorted([first.id, second.id])
    assert find("%") == find("") == []

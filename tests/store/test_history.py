from dataclasses import replace

from harness.core import HOUR, frozen, listed_account, signed_out
from harness.store import REFUSED, StoreHarness

from monitor.core.act import Act, ActKind, Way
from monitor.core.model import Event, EventType, Reason
from monitor.core.policy import Flapping
from monitor.store import acts, history, incidents, lookup


def load(harness, *, limit=50):
    def read(tx):
        (candidate,) = lookup.incidents(tx, "a1")
        return history.load(tx, candidate.id, limit=limit)

    return harness.run(read)


def test_what_happened_stands_with_who_was_told_and_each_answer(harness):
    harness.poll(listed_account())
    harness.poll(signed_out())
    for _ in range(5):
        harness.deliver(error=REFUSED, after=HOUR)
    harness.deliver(after=HOUR)
    harness.poll(frozen())

    loaded = load(harness)

    assert [past.event.type for past in loaded.events] == ["opened", "changed"]
    (told,), (waiting,) = (past.notifications for past in loaded.events)
    assert (told.state, told.attempts) == ("delivered", 6)
    assert [(it.number, it.reason) for it in told.tried] == [
        (4, "server"),
        (5, "server"),
        (6, "ok"),
    ]
    assert told.tried[0].answer == "HTTP 500"
    assert (waiting.state, waiting.tried) == ("pending", ())
    assert [heard.receiver for heard in loaded.heard] == ["slack"]
    assert loaded.account.id == "a1"


def test_of_many_events_the_first_and_the_latest_are_read(store):
    harness = StoreHarness(store, flapping=Flapping(changes=100))
    harness.poll(listed_account())
    for turn in range(8):
        harness.poll((signed_out, frozen)[turn % 2]())

    loaded = load(harness, limit=3)

    assert [past.event.type for past in loaded.events] == ["opened", "changed", "changed"]
    assert loaded.events[-1].event.at == harness.now
    assert loaded.left_out == 5
    assert load(harness, limit=8).left_out == 0


def test_the_link_is_there_while_it_is_open_and_what_asking_for_one_came_to(harness):
    harness.rules = replace(harness.rules, create=True)
    harness.poll(listed_account())
    harness.poll(signed_out(link=""))
    assert [it.outcome for it in load(harness).link_requests] == ["wanted"]
    harness.poll(signed_out())
    assert load(harness).link is not None

    harness.poll(listed_account())

    assert load(harness).link is None


def test_acts_are_there_whether_or_not_an_event_followed(harness):
    harness.poll(listed_account())
    harness.poll(signed_out())
    opened_at = harness.now

    def write(id_, at, **values):
        values = {"workspace": "acme", "subject": "a1"} | values
        act = Act(id_, at, ActKind.RECONNECT, Way.CLI, "Ann", **values)
        harness.run(lambda tx: acts.write(tx, act))

    write("before", opened_at - 1)
    write("of all", opened_at + 1, subject=None)
    write("other", opened_at + 1, subject="a2")
    write("its own", opened_at + 2)
    event = Event(
        id="followed",
        type=EventType.ACKNOWLEDGED,
        at=opened_at + 1,
        workspace="acme",
        account_id="a1",
        incident_id=load(harness).incident.id,
        reason=Reason.TAKEN_OVER,
        act_id="of all",
    )
    harness.run(lambda tx: incidents.write_events(tx, [event]))

    assert [act.id for act in load(harness).acts] == ["of all", "its own"]


def test_there_is_none_of_an_incident_that_is_not_there(harness):
    assert harness.run(lambda tx: history.load(tx, "nothing", limit=1)) is None

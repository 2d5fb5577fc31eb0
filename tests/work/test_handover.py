"""A workspace's way from one replica to another, with what is queued of it."""

from functools import partial

import pytest
from harness.core import HOUR, MINUTE, NOON, REJECTED, UNREACHABLE, listed_account, signed_out
from harness.leases import REPLICA, hold, live
from harness.store import DAY, GONE, REFUSED, StoreHarness
from sqlalchemy import text

from monitor.core.backoff import UNANSWERED_WAIT
from monitor.core.inventory import Inventory
from monitor.core.route import Receiver
from monitor.store import (
    attempts,
    clock,
    leases,
    outbox,
    outside,
    receivers,
    undelivered,
    workspaces,
)
from monitor.store.attempts import BEGINNING
from monitor.store.claims import Sender, claim
from monitor.work import handover

OTHER = "other"


@pytest.fixture
def harness(store):
    return StoreHarness(store)


def claim_as(harness, replica, **options):
    """Claim the next message as a worker of *replica* does."""
    return harness.run(
        lambda tx: claim(
            tx,
            harness.receiver("slack"),
            Sender(replica, f"worker of {replica}"),
            inventory=harness.inventory,
            now=harness.now,
            lease=MINUTE,
            new_id=harness.new_id,
            **options,
        )
    )


def give_back(harness, **requests):
    terms = {"acme": harness.term}
    return harness.run(
        lambda tx: handover.give_back(tx, REPLICA, terms, requests=requests, now=harness.now)
    )


def take_over(harness):
    """Let the other replica take what is free."""
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.workspace, harness.term = harness.run(
        lambda tx: hold(tx, "acme", replica=OTHER, now=harness.now)
    )


def lose(harness, **options):
    """Let the other replica take all that the first one held, which fell silent."""
    silent = harness.run(lambda tx: leases.seen(leases.replicas(tx)))
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.workspace, harness.term = harness.run(
        lambda tx: hold(tx, "acme", replica=OTHER, silent=silent, now=harness.now, **options)
    )


def queue_theirs(harness):
    """Let the other replica hold `beta`, of which something is queued."""
    ours = harness.workspace, harness.term
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.replica = OTHER
    harness.attach("beta")
    harness.poll(signed_out("b"))
    harness.replica, (harness.workspace, harness.term) = REPLICA, ours
    harness.inventory = Inventory({"acme": {}, "beta": {}})


def holders(harness):
    return harness.column("SELECT holder FROM message WHERE settled_at IS NULL")


def test_what_is_queued_goes_with_its_workspace_and_waits_for_a_look(harness):
    harness.poll(signed_out("told"))
    harness.deliver()
    harness.poll(signed_out("told"), signed_out())
    assert holders(harness) == [REPLICA]

    give_back(harness)
    take_over(harness)

    assert holders(harness) == [OTHER]
    settled = harness.column("SELECT holder FROM message WHERE settled_at > 0")
    assert settled == [REPLICA], "that is over"
    assert harness.column("SELECT waits FROM message WHERE settled_at IS NULL") == ["look"]
    assert claim_as(harness, REPLICA).message is None
    assert claim_as(harness, OTHER).message is None
    harness.poll(signed_out("told"), signed_out())
    assert claim_as(harness, OTHER).message is not None


def test_each_delivers_what_it_holds_alone(harness):
    harness.poll(signed_out())

    assert claim_as(harness, OTHER).message is None
    assert claim_as(harness, REPLICA).message.workspace == "acme"


def test_what_is_queued_is_counted_for_who_holds_it(harness):
    queue_theirs(harness)
    harness.poll(signed_out())

    assert sorted(holders(harness)) == [OTHER, REPLICA]
    assert harness.run(lambda tx: outbox.backlog(tx, REPLICA)) == {"slack": (1, harness.now)}
    assert harness.run(lambda tx: outbox.queued_workspaces(tx, REPLICA)) == {"acme"}


@pytest.mark.parametrize(("error", "waits"), [(REFUSED, "pending time"), (None, "sending None")])
def test_what_another_waits_for_is_left_to_it(harness, error, waits):
    queue_theirs(harness)
    claimed = claim_as(harness, OTHER)
    if error:
        harness.settle(claimed, error)
    assert claim_as(harness, REPLICA).next_at is None

    harness.poll(signed_out())
    harness.deliver(error=REFUSED)
    harness.now += HOUR

    assert claim_as(harness, REPLICA).message.workspace == "acme"
    theirs = f"SELECT state || ' ' || COALESCE(waits, 'None') FROM message WHERE holder = '{OTHER}'"
    assert harness.column(theirs) == [waits]


@pytest.mark.parametrize("replica", [REPLICA, OTHER])
@pytest.mark.parametrize("give_up", ["expire", "divert", "cancel_removed"])
def test_each_gives_up_what_it_holds_alone(harness, give_up, replica):
    queue_theirs(harness)
    harness.settle(claim_as(harness, OTHER), GONE)
    options = {"now": harness.now + DAY, "new_id": harness.new_id}
    work = {
        "expire": partial(attempts.expire, deadline=DAY, fallback=None, **options),
        "divert": partial(attempts.divert, fallback=Receiver("mail"), after=BEGINNING, **options),
        "cancel_removed": partial(undelivered.cancel_removed, fallback=None, **options),
    }[give_up]

    given_up = harness.run(partial(work, replica=replica, receiver="slack"))

    assert bool(given_up) is (replica == OTHER)


def test_what_is_being_sent_is_not_given_back(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    assert give_back(harness) == set()
    harness.settle(claimed)
    assert give_back(harness, acme=5) == {"acme"}

    take_over(harness)
    taken, _ = harness.run(lambda tx: handover.load(tx, ["acme"]))
    assert (taken["acme"].requests, taken["acme"].term) == (5, 2)


def test_the_end_of_a_send_counts_though_another_holds_its_workspace_by_now(harness):
    harness.poll(signed_out())
    claimed = harness.claim()
    lose(harness)
    before = harness.run(outside.count)

    harness.settle(claimed)

    assert harness.heard() == [["slack"]]
    assert harness.run(outside.count) > before, "who holds it has something to send"
    harness.poll(signed_out())
    assert claim_as(harness, OTHER).message is None


def test_what_its_former_holder_was_sending_may_have_arrived(harness):
    harness.poll(signed_out())
    harness.claim()
    lose(harness)
    harness.poll(signed_out())

    harness.now += MINUTE
    assert claim_as(harness, OTHER).message is None
    harness.now += UNANSWERED_WAIT
    assert claim_as(harness, OTHER).message is not None
    assert harness.heard() == [["slack"]]


def test_what_failed_goes_at_once_if_another_replica_found_its_receiver_mended(harness):
    harness.poll(signed_out("a1"))
    for _ in range(3):
        harness.deliver(error=REFUSED, after=HOUR)
    state = harness.run(lambda tx: receivers.load(tx, "slack"))
    assert claim_as(harness, REPLICA, failing_since=state.failing_since).message is None

    harness.run(lambda tx: receivers.note_success(tx, OTHER, state, now=harness.now))

    assert claim_as(harness, REPLICA).message is None, "it did not know that it failed"
    assert claim_as(harness, REPLICA, failing_since=state.failing_since).message is not None


@pytest.mark.parametrize("change", ["note_success", "clear"])
def test_that_a_receiver_is_mended_is_news_for_others(harness, change):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)
    state = harness.run(lambda tx: receivers.load(tx, "slack"))
    before = harness.run(outside.count)

    who = {"note_success": state, "clear": ["slack"]}[change]
    harness.run(lambda tx: getattr(receivers, change)(tx, OTHER, who, now=harness.now))

    assert harness.run(outside.count) > before


@pytest.mark.parametrize(
    ("away", "goes_on"), [(MINUTE, True), (HOUR - 1, True), (HOUR, False), (None, False)]
)
def test_failed_polls_count_on_if_they_were_looked_at_lately(harness, away, goes_on):
    """*away* is how long it is since their former holder last wrote; None: nobody knows."""
    harness.observe(UNREACHABLE)
    harness.run(lambda tx: leases.renew(tx, REPLICA, harness.now))
    if away is None:
        harness.run(lambda tx: tx.execute(text("DELETE FROM replica")))
    harness.now += away or 0

    lose(harness, blind_after=HOUR)

    assert (harness.workspace.failing is not None) is goes_on


@pytest.mark.parametrize("apart", [1 - clock.MIN_STEP, clock.MIN_STEP - 1])
def test_nothing_moves_if_the_clock_of_who_takes_a_workspace_is_not_behind(harness, apart):
    """It is *apart*: behind by less than a second, or ahead."""
    harness.poll(signed_out())
    harness.run(lambda tx: leases.renew(tx, REPLICA, harness.now))
    harness.deliver(error=REFUSED, after=MINUTE)
    harness.run(lambda tx: leases.renew(tx, REPLICA, harness.now))
    due = "SELECT next_attempt_at FROM message"
    before = harness.column(due)

    harness.now -= apart
    lose(harness)

    assert harness.column(due) == before


def test_the_clock_of_who_takes_a_workspace_may_be_behind(harness):
    harness.poll(signed_out())
    harness.now += HOUR
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    harness.deliver(error=REFUSED)
    due_at, step = harness.column("SELECT next_attempt_at FROM message")[0], 3 * HOUR

    harness.now -= step
    lose(harness)

    assert harness.column("SELECT next_attempt_at FROM message") == [due_at - step]
    assert harness.column("SELECT MAX(at) FROM event") <= [harness.now]
    assert harness.run(lambda tx: workspaces.load_version(tx, "acme")) == 1


def test_a_clock_moves_back_what_its_replica_holds_alone(harness):
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.run(lambda tx: hold(tx, "theirs", replica=OTHER, now=harness.now))
    query = f"UPDATE workspace SET last_good_at = {harness.now + HOUR}"
    harness.run(lambda tx: tx.execute(text(query)))
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, NOON + HOUR))

    harness.run(lambda tx: clock.set_clock(tx, REPLICA, NOON))

    rows = harness.run(lambda tx: workspaces.rows_of(tx, ["acme", "theirs"]))
    assert {row.name: row.last_good_at - NOON for row in rows} == {"acme": 0, "theirs": HOUR}


def test_a_workspace_that_cannot_be_read_holds_up_no_other(harness):
    harness.attach("beta")
    harness.run(lambda tx: tx.execute(text(UNREADABLE)))

    taken, unreadable = harness.run(lambda tx: handover.load(tx, ["acme", "beta", "nobody"]))

    assert (taken.keys(), unreadable.keys()) == ({"beta"}, {"acme"})
    assert "purple" in unreadable["acme"]


UNREADABLE = """
UPDATE workspace SET failing_cause = 'purple', failing_detail = '', failing_since = 1,
    failing_cause_since = 1 WHERE name = 'acme'
"""


def test_what_is_loaded_says_what_is_open(harness):
    harness.poll(signed_out("a"), signed_out("b"), listed_account("c"))
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    taken, _ = harness.run(lambda tx: handover.load(tx, ["acme"]))

    assert taken["acme"].workspace == harness.workspace
    assert taken["acme"].open_incidents == {"reconnection_required": 2, "token_rejected": 1}


# ── what has left the configuration ──────────────────────────────────────────────────────────────


def test_who_holds_what_is_of_all_tells_what_is_left_of_what_is_detached(harness):
    silent = harness.run(lambda tx: leases.seen(leases.replicas(tx)))
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.poll(signed_out())
    harness.detach()
    assert holders(harness) == [REPLICA]

    take = partial(handover.take, replica=OTHER, names=["*"], silent=silent, now=harness.now)
    assert harness.run(partial(take, blind_after=DAY)) == ["*"]

    assert holders(harness) == [OTHER]
    backlog = harness.run(lambda tx: outbox.backlog(tx, OTHER))
    assert backlog["slack"][0] == 1


def test_what_is_detached_goes_to_who_holds_what_is_of_all(harness):
    harness.run(lambda tx: live(tx, OTHER, harness.now))
    harness.run(lambda tx: leases.release(tx, REPLICA, {"*": 1}, {}, harness.now))
    harness.run(lambda tx: hold(tx, "theirs", replica=OTHER, now=harness.now))
    harness.poll(signed_out())
    before = harness.run(outside.count)

    harness.detach("theirs")

    assert holders(harness) == [OTHER]
    assert harness.run(outside.count) > before


# ── positions ────────────────────────────────────────────────────────────────────────────────────


def test_positions_are_times_and_count_within_a_workspace(harness):
    harness.poll(signed_out("a"), after=MINUTE)
    harness.poll(signed_out("a"), signed_out("b"), after=0)
    harness.poll(signed_out("a"), signed_out("b"), signed_out("c"), signed_out("d"), after=0)
    harness.attach("beta")
    harness.poll(signed_out("x"), after=0)

    query = "SELECT position FROM notification WHERE workspace = '{}' ORDER BY position"
    positions = {name: harness.column(query.format(name)) for name in ("acme", "beta")}

    assert positions["acme"] == list(range(harness.now, harness.now + 4))
    assert positions["beta"] == [harness.now]


def test_positions_go_on_though_the_clock_went_back(harness):
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a"), signed_out("b"), after=-HOUR)

    first, second = harness.column("SELECT position FROM notification ORDER BY event_id")

    assert second == first + 1

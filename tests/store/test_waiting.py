"""What a message waits for: its turn, or a look at its workspace."""

from dataclasses import replace

from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    frozen,
    listed_account,
    make_routing,
    signed_out,
)
from harness.leases import REPLICA
from harness.store import REFUSED, TIMEOUT, WRONG, StoreHarness
from sqlalchemy import text

from monitor.core.route import Receiver, Route
from monitor.store import looks
from monitor.store.claims import Claimed
from monitor.store.undelivered import GROUP_WAIT

# ── who waits for whom ───────────────────────────────────────────────────────────────────────────


def test_what_two_receivers_refuse_at_the_same_time_never_waits_for_each_other(store):
    receivers = {"hook": False, "crm": False, "mail": True}
    harness = StoreHarness(store, receivers=receivers, fallback="mail")
    accounts = [frozen(f"a{number}") for number in range(5)]
    harness.poll(*accounts, listed_account("b"))
    harness.deliver_all("mail")
    sending = [harness.claim(name) for name in ("hook", "crm") * 4]
    for claimed in (*sending[::2], *sending[:0:-2]):
        harness.settle(claimed, WRONG)
        harness.check_that_nobody_waits_in_a_circle()
    while harness.deliver("hook", error=WRONG) or harness.deliver("crm", error=WRONG):
        harness.check_that_nobody_waits_in_a_circle()

    harness.now += GROUP_WAIT

    assert sorted(len(message) for message in harness.deliver_all("mail")) == [5, 5]
    assert set(harness.column("SELECT state FROM notification")) == {"delivered", "dead"}


def test_parts_of_a_message_stand_behind_it_in_one_order(store):
    harness = StoreHarness(store, resolve_after=2)
    harness.poll(signed_out("a"), frozen("b"), frozen("c"), listed_account("d"))
    harness.poll(listed_account("a"), frozen("b"), frozen("c"), listed_account("d"))
    harness.rules.routing.receivers["slack"] = Receiver("slack", groups=False)
    sending = harness.claim()

    assert len(harness.check_that_nobody_waits_in_a_circle()) == 0
    assert harness.column("SELECT part FROM message ORDER BY part") == [0, 1, 2]
    assert harness.column("SELECT COUNT(*) FROM message WHERE waits = 'look'") == [1]
    harness.settle(sending)
    assert harness.deliver() == [("opened", "c")]


def test_the_rest_of_a_message_does_not_wait_for_what_is_over_in_it(store):
    harness = StoreHarness(store, group_over=1)
    harness.poll(signed_out("a"), listed_account("b"))
    sending = harness.claim()
    harness.poll(frozen("a"), frozen("b"))
    assert harness.deliver() is None  # a's change waits for its opening

    harness.poll(listed_account("a"), frozen("b"))

    assert harness.deliver() == [("opened", "b")]
    harness.settle(sending)
    assert harness.deliver() == [("resolved", "a")]


def test_parts_about_the_same_account_leave_in_their_order(store):
    harness = StoreHarness(store, receivers={"hook": False, "mail": True}, fallback="mail")
    routing = make_routing({"hook": False, "mail": True}, Route(to=("hook",)), fallback="mail")
    harness.rules = replace(harness.rules, routing=routing)
    for account, error in ((frozen(), None), (listed_account(), WRONG), (frozen(), WRONG)):
        harness.poll(account, after=1)
        harness.deliver("hook", error=error)
    assert len(harness.deliver("mail", error=REFUSED, after=GROUP_WAIT)) == 2

    harness.rules.routing.receivers["mail"] = Receiver("mail", groups=False)

    errors = (REFUSED, None, None)
    told = [harness.deliver("mail", error, after=MINUTE) for error in errors]
    assert told == [[("notice", "a1")], [("notice", "a1")], [("opened", "a1")]]


def test_a_group_that_may_have_arrived_is_not_parted(store):
    harness = StoreHarness(store, resolve_after=2)
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    first = harness.claim()
    harness.settle(first, TIMEOUT)
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"))
    assert harness.claim(after=MINUTE).message is None  # nobody knows about a

    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    again = harness.claim().message

    assert again.id == first.message.id
    assert len(again.notifications) == 2


# ── what waits ───────────────────────────────────────────────────────────────────────────────────


def test_what_waits_for_a_look_is_not_read_before_one(store):
    harness = StoreHarness(store, receivers={"hook": False})
    ids = [f"a{number}" for number in range(30)]
    harness.poll(*map(frozen, ids))
    harness.forget_look()
    assert harness.claim("hook").more  # a portion was looked at
    assert harness.claim("hook") == Claimed(None)
    assert harness.column("SELECT DISTINCT waits FROM message") == ["look"]

    recorded = harness.poll(*map(frozen, ids))

    assert recorded.receivers == {"hook"}
    assert harness.deliver("hook") == [("opened", "a0")]


def test_a_start_holds_all_but_resolutions_back_until_a_look(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver()
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a"), signed_out("b"))
    harness.run(lambda tx: looks.hold(tx, REPLICA, ["acme"]))

    assert harness.deliver_all() == [[("resolved", "a")]]
    harness.observe(UNREACHABLE)
    assert harness.deliver() is None
    harness.poll(listed_account("a"), signed_out("b"))
    assert harness.deliver() == [("opened", "b")]


def test_what_is_told_of_blindness_waits_after_a_start_for_a_poll_that_fails(harness):
    for _ in range(2):
        harness.observe(REJECTED)
    harness.run(lambda tx: looks.hold(tx, REPLICA, ["acme"]))
    assert harness.deliver() is None

    harness.observe(REJECTED)

    assert harness.deliver() == [("opened", None)]


def test_a_message_that_this_version_cannot_read_holds_up_no_other(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.run(lambda tx: tx.execute(text("UPDATE notification SET event = 'of tomorrow'")))
    harness.poll(signed_out("a"), frozen("b"))

    claimed = harness.claim()

    assert claimed.message.notifications[0].account.id == "b"
    assert len(claimed.unreadable) == 1
    harness.settle(claimed)
    assert harness.claim().next_at == harness.now + HOUR
    harness.run(lambda tx: tx.execute(text("UPDATE notification SET event = 'opened'")))
    assert harness.deliver(after=HOUR) == [("opened", "a")]


def test_so_does_what_was_to_be_sent_again(harness):
    for _ in range(2):
        harness.observe(REJECTED)
    harness.deliver(error=REFUSED)
    harness.run(lambda tx: looks.hold(tx, REPLICA, ["acme"]))
    assert harness.deliver(after=HOUR) is None

    harness.observe(REJECTED)

    assert harness.deliver() == [("opened", None)]

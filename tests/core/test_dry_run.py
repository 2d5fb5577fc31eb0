"""What a dry run of the routes says is what a poll does."""

from dataclasses import replace
from itertools import count

import pytest
from harness.core import HOUR, NOON, REJECTED, CoreHarness, frozen, listed_account, signed_out
from harness.store import StoreHarness
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from monitor import muting
from monitor.core.dry_run import dry_run
from monitor.core.duration import Duration
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.model import Cause, Event, EventType, Reason
from monitor.core.mutes import Mute, MuteRule, Mutes
from monitor.core.route import Match, Receiver, Recipient, Route, Routing, Step
from monitor.store import accounts

NAMES = ("Jane Doe", "Joe Roe", "*")
GLOBS = ("Jane *", "J*", "a1", "*", "Nobody")
LABELS = ({"team": "growth"}, {"owner": "jane@example.com"}, {"team": "sales", "owner": "x@y.de"})

globs = st.lists(st.sampled_from(GLOBS), max_size=2).map(tuple)
labels = st.sampled_from(({}, *LABELS))
receivers = st.dictionaries(
    st.sampled_from(("chat", "mail", "hook")),
    st.tuples(st.booleans(), st.sampled_from((None, "owner", "team"))),
    min_size=1,
).map(
    lambda kinds: {
        name: Receiver(name, groups=groups, address_label=label)
        for name, (groups, label) in kinds.items()
    }
)
matches = st.builds(
    Match,
    causes=st.lists(st.sampled_from(list(Cause)[:5]), max_size=2).map(tuple),
    workspaces=st.sampled_from(((), ("ac*",), ("beta",))),
    accounts=globs,
    scopes=st.sampled_from(((), (), ("account",), ("workspace",))),
    labels=labels,
)
rules = st.lists(
    st.builds(
        AccountRule,
        match=st.builds(AccountMatch, names=st.sampled_from((("J*",), ("Jane Doe",)))),
        labels=st.sampled_from(LABELS),
        ignore=st.sampled_from((None, None, None, True, False)),
    ),
    max_size=2,
)


@st.composite
def routings(draw):
    """Routes, and what an inventory of one workspace is made of."""
    configured = draw(receivers)
    names = st.lists(st.sampled_from(sorted(configured)), min_size=1, max_size=2, unique=True)
    routes = st.lists(
        st.builds(Route, match=matches, to=names.map(tuple), continues=st.booleans()), max_size=4
    )
    own = sorted(name for name, it in configured.items() if it.address_label is None)
    fallback = draw(st.sampled_from((None, *own)))
    muted = st.lists(
        st.builds(
            MuteRule,
            match=matches,
            to=st.lists(st.sampled_from(sorted(configured)), max_size=1).map(tuple),
            until=st.just("forever"),
        ),
        max_size=2,
    )
    routing = Routing(configured, tuple(draw(routes)), fallback, mutes=tuple(draw(muted)))
    return routing, draw(labels), draw(rules)


def opening(cause, account=None):
    id_ = account and account.id
    return Event("", EventType.OPENED, NOON, "acme", id_, "", Reason.SEEN_BAD, cause=cause)


QUEUED = text("""
SELECT receiver, address FROM notification JOIN event ON event.id = notification.event_id
WHERE event.type = 'opened' AND notification.workspace = :workspace
""")


UNTOLD = text("SELECT untold FROM event WHERE type = 'opened' AND workspace = :workspace")


NOBODY = "nobody: no route matches, and no fallback"


@pytest.mark.slow
def test_a_dry_run_says_who_a_poll_tells(store):
    harness, numbers = StoreHarness(store), count()

    @settings(
        max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(routings(), st.sampled_from(NAMES), st.sampled_from((signed_out, frozen, None)))
    def check(drawn, name, bad):
        routing, of_workspace, of_accounts = drawn
        workspace = f"acme-{next(numbers)}"
        inventory = Inventory({workspace: of_workspace}, of_accounts)
        routing = replace(routing, inventory=inventory)
        harness.rules = replace(harness.rules, routing=routing)
        harness.attach(workspace)
        harness.poll(listed_account(name=name))
        if bad:
            account = harness.run(lambda tx: accounts.load(tx, workspace, "a1"))
            ignored = ("a1",) if inventory.ignores(workspace, account) else ()
            harness.poll(bad(name=name), ignored=ignored)
            event = opening(Cause(bad().status), account)
        else:
            account, event = None, opening(REJECTED.cause)
            harness.observe(REJECTED)
            harness.observe(REJECTED)

        mutes = muting.configured(routing, harness.now)
        run = dry_run(replace(event, workspace=workspace), account, routing, mutes)

        of_this = {"workspace": workspace}
        queued = harness.run(lambda tx: list(map(tuple, tx.execute(QUEUED, of_this))))
        assert sorted(run.recipients) == sorted(queued)
        (untold,) = harness.run(lambda tx: tx.execute(UNTOLD, of_this).scalars().all()) or [""]
        assert set(untold.splitlines()) - {NOBODY} == {
            *(f"{it.receiver}: muted" for it, _ in run.held),
            *(f"{name}: no label has its address" for name in run.without_address),
        }

    check()


MAIL = Receiver("mail", address_label="owner")
CHAT = Receiver("chat")
FROZEN, REST = Route(match=Match(causes=("frozen",)), to=("mail",)), Route(to=("chat",))


def tried(*routes, fallback=None, rules=(), cause=Cause.FROZEN, mutes=None):
    harness = CoreHarness()
    harness.poll(listed_account())
    routing = Routing({"mail": MAIL, "chat": CHAT}, routes, fallback, Inventory({}, rules))
    account = harness.workspace.accounts["a1"]
    return dry_run(opening(cause, account), account, routing, mutes)


def test_each_route_that_is_asked_says_whether_it_matches():
    assert tried(FROZEN, REST).asked == ((FROZEN, None),)
    assert tried(FROZEN, REST, cause=Cause.FLAPPING).asked == ((FROZEN, "cause"), (REST, None))


def test_who_has_no_address_and_who_stands_in_are_said():
    run = tried(FROZEN, fallback="chat")

    assert (run.recipients, run.stands_in, run.without_address) == (
        (Recipient("chat"),),
        True,
        ("mail",),
    )
    owned = (AccountRule(labels={"owner": "jane@example.com"}),)
    run = tried(FROZEN, fallback="chat", rules=owned)
    assert (run.stands_in, run.without_address) == (False, ())
    assert run.recipients == (Recipient("mail", "jane@example.com"),)


def test_who_is_told_when_nobody_takes_it_over_is_said_by_step():
    late = Step(after=Duration.parse("2h"), to=("mail", "chat"))
    first = Route(to=("chat",), escalate=(late,), continues=True)
    owned = (AccountRule(labels={"owner": "jane@example.com"}),)

    run = tried(first, Route(to=("chat",), escalate=(Step(after=HOUR, to=("chat",)),)), rules=owned)

    owner = Recipient("mail", "jane@example.com")
    assert run.steps == ((HOUR, (Recipient("chat"),)), (2 * HOUR, (owner, Recipient("chat"))))


def test_who_is_muted_does_not_hear_and_until_when_is_said():
    rule = MuteRule(match=Match(scopes=("account",)), to=("chat",), until="forever")
    mutes = Mutes((Mute(rule, NOON + HOUR),))
    owned = (AccountRule(labels={"owner": "jane@example.com"}),)

    run = tried(Route(to=("chat", "mail")), rules=owned, mutes=mutes)

    assert run.recipients == (Recipient("mail", "jane@example.com"),)
    assert run.held == ((Recipient("chat"), NOON + HOUR),)
    alone = tried(REST, mutes=mutes)
    assert (alone.recipients, len(alone.held), alone.stands_in) == ((), 1, False)


def test_without_routes_every_receiver_is_named():
    run = tried()

    assert (run.asked, run.recipients, run.without_address) == ((), (Recipient("chat"),), ("mail",))


def test_nobody_hears_of_an_account_that_is_not_watched():
    run = tried(REST, rules=(AccountRule(AccountMatch(ids=("a1",)), ignore=True),))

    assert (run.is_ignored, run.asked, run.recipients) == (True, (), ())

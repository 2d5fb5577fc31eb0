"""Odd account lists on a running workspace: what each raises, and which raise nothing."""

from itertools import chain

import pytest
from harness.core import LINK, frozen, listed_account
from harness.notifications import HOSTILE
from harness.poll import TOKEN, poll_harness
from harness.store import StoreHarness
from sqlalchemy import text

OPENED = ("opened", "reconnection_required")
RESOLVED = ("resolved", "reconnection_required")
DISAPPEARED = ("notice", "disappeared")
PROFILE = "https://www.linkedin.com/in/jo%C3%A3o-doe/"


@pytest.fixture
async def harness(tmp_path):
    """Eight accounts, all well, polled once."""
    async with poll_harness(tmp_path, accounts=8) as harness:
        assert await harness.poll() == []
        yield harness


# ── lists that are no news ───────────────────────────────────────────────────────────────────────


def constant(result):
    return lambda _: result


def with_entry(**fields):
    """List the first account once more, with other *fields*."""
    return lambda accounts: {"accounts": [*accounts, accounts[0] | fields]}


def with_first(*, without=(), **fields):
    """List the first account with other *fields*, and *without* some."""

    def result(accounts):
        first = {key: value for key, value in accounts[0].items() if key not in without}
        return {"accounts": [first | fields, *accounts[1:]]}

    return result


def with_second(field):
    """List the first account with the name or address of the second."""
    return lambda accounts: with_first(**{field: accounts[1][field]})(accounts)


def with_sessions(sessions):
    return lambda accounts: {"accounts": accounts, "pendingConnectionSessions": sessions}


ODD_LISTS = {
    "list suddenly empty": [constant({"accounts": []})],
    "no account list": [
        constant(result)
        for result in ({}, None, [], 7, *({"accounts": odd} for odd in (None, {}, "no")))
    ],
    "no pending sessions": [lambda accounts: {"accounts": accounts}, with_sessions(None)],
    "odd pending sessions": [with_sessions([{"status": "?"}, {}, None, 5])],
    "null or absent details": [
        with_first(avatarUrl=None, headline=None),
        with_first(without=("url", "avatarUrl", "headline")),
    ],
    "stale link of an active account": [with_first(reconnectionLink=f"{LINK}/stale")],
    "unusable id": [with_entry(id=id_) for id_ in ("", None, 7)],
    "same id twice": [with_entry()],
    "hostile name": [with_first(name=name) for name in HOSTILE],
    "two accounts of one name": [with_second("name")],
    "odd or moving connectedAt": [
        with_first(without=("connectedAt",)),
        *(
            with_first(connectedAt=at)
            for at in (None, 5, "soon", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00+05:30")
        ),
    ],
    "account gone for one poll": [lambda accounts: {"accounts": accounts[1:]}],
    "two ids of one person": [with_second("url")],
    "unknown fields and extreme values": [with_first(x={"y": [1e308]})],
}
"""Odd results of `accounts.getAll`, each made from the true accounts."""


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(result, marks=pytest.mark.odd_input(name), id=name)
        for name, results in ODD_LISTS.items()
        for result in results
    ],
)
async def test_an_odd_list_raises_no_false_alert_and_a_true_sign_out_is_told(harness, result):
    harness.simulator.override("acme", result(harness.listed()))
    assert await harness.poll(2) == []
    harness.simulator.clear_override("acme")
    assert await harness.poll(3) == []

    harness.simulator.sign_out("acme", "a2")
    assert await harness.poll() == [OPENED]


async def test_odd_lists_one_after_the_other_add_up_to_nothing(harness):
    for result in chain(*ODD_LISTS.values()):
        harness.simulator.override("acme", result(harness.listed()))
        assert await harness.poll() == []
        harness.simulator.clear_override("acme")
        assert await harness.poll() == []

    harness.simulator.sign_out("acme", "a2")
    assert await harness.poll() == [OPENED]


@pytest.mark.odd_input("unknown fields and extreme values")
@pytest.mark.parametrize("accounts", ["[" * 5000 + "]" * 5000, '[],"accounts":null', "NaN"])
async def test_a_list_beyond_measure_raises_no_false_alert(harness, accounts):
    harness.simulator.add_fault(body=f'{{"success":true,"result":{{"accounts":{accounts}}}}}')
    assert await harness.poll(2) == []
    harness.simulator.clear_faults()

    harness.simulator.sign_out("acme", "a2")
    assert await harness.poll() == [OPENED]


@pytest.mark.odd_input("empty list at first")
async def test_accounts_that_follow_an_empty_first_list_are_no_news(tmp_path):
    async with poll_harness(tmp_path, accounts=8) as harness:
        harness.simulator.override("acme", {"accounts": []})
        assert await harness.poll(2) == []
        harness.simulator.clear_override("acme")

        assert await harness.poll(3) == []


# ── statuses and links ───────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("unknown status")
@pytest.mark.parametrize(
    "status", [None, "", 7, "ACTIVE", "reconnectionRequired", "suspended", [], {"a": 1}, "absent"]
)
async def test_an_unknown_status_is_told_as_such_and_hides_no_other(harness, status):
    absent = ("status",) if status == "absent" else ()
    harness.simulator.patch("acme", "a1", {"status": status}, without=absent)
    harness.simulator.sign_out("acme", "a2")

    assert sorted(await harness.poll()) == [OPENED, ("opened", "unknown")]


@pytest.mark.odd_input("sign-out without a link")
async def test_a_sign_out_without_link_is_told_without_one(harness):
    harness.simulator.sign_out("acme", "a1")
    harness.simulator.patch("acme", "a1", without=("reconnectionLink", "reconnectionSessionId"))

    assert await harness.poll() == [OPENED]
    assert harness.session() is None


@pytest.mark.odd_input("alternating status")
async def test_alternating_statuses_are_damped(harness):
    events = []
    for _ in range(20):
        harness.simulator.sign_out("acme", "a1")
        events += await harness.poll()
        harness.simulator.recover("acme", "a1")
        events += await harness.poll()

    assert len(events) == 6
    assert events[-1] == ("changed", "flapping")


@pytest.mark.odd_input("link rotates at each poll")
async def test_a_link_that_rotates_at_each_poll_is_one_incident(harness):
    harness.simulator.sign_out("acme", "a1")
    assert await harness.poll() == [OPENED]
    for _ in range(10):
        harness.simulator.rotate_link("acme", "a1")
        assert await harness.poll() == []


@pytest.mark.odd_input("recovery and loss between two polls")
async def test_a_recovery_and_a_loss_between_two_polls_refresh_the_link_and_nothing_else(harness):
    harness.simulator.tune(reconnection_moves_connected_at=True)
    harness.simulator.sign_out("acme", "a1")
    assert await harness.poll() == [OPENED]
    before = harness.session().link

    harness.simulator.set_session("acme", "a1", "success")
    harness.simulator.sign_out("acme", "a1")

    assert await harness.poll() == []
    assert harness.session().link not in {None, before}


# ── accounts that come and go ────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("list suddenly empty")
async def test_a_list_that_is_suddenly_empty_is_not_believed_and_then_told_as_blindness(harness):
    harness.simulator.override("acme", {"accounts": [], "pendingConnectionSessions": []})

    assert await harness.poll(30) == [("opened", "bad_response")]
    harness.simulator.clear_override("acme")
    assert await harness.poll() == [("resolved", "bad_response")]


@pytest.mark.case("only account of a workspace removed")
@pytest.mark.parametrize("is_replaced", [False, True])
async def test_the_only_account_may_go_and_another_one_come(tmp_path, is_replaced):
    async with poll_harness(tmp_path) as harness:
        await harness.poll()
        harness.simulator.remove("acme", "a1")
        if is_replaced:
            harness.simulator.add_account("acme", "Somebody else", id="b1")

        assert await harness.poll(9) == [("opened", "bad_response")]
        assert await harness.poll() == [("resolved", "bad_response"), DISAPPEARED]

        assert harness.recorded().accounts.keys() == ({"b1"} if is_replaced else set())
        if is_replaced:
            harness.simulator.sign_out("acme", "b1")
            assert await harness.poll() == [OPENED]


@pytest.mark.case("another workspace's token pasted")
async def test_the_only_account_is_not_gone_if_another_token_says_so(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    async with poll_harness(tmp_path, token=file) as harness:
        harness.simulator.add_customer("beta", "linked_beta")
        harness.simulator.add_account("beta", "Somebody else", id="b1")
        await harness.poll()

        file.write_text("linked_beta")

        assert await harness.poll(30) == [("opened", "bad_response")]
        assert harness.recorded().accounts.keys() == {"a1"}
        file.write_text(TOKEN)
        assert await harness.poll() == [("resolved", "bad_response")]


@pytest.mark.odd_input("account gone for one poll")
async def test_an_account_that_is_gone_for_one_poll_was_never_gone(harness):
    harness.simulator.sign_out("acme", "a1")
    assert await harness.poll() == [OPENED]
    harness.simulator.hide("acme", "a1")

    assert await harness.poll(5) == []


@pytest.mark.odd_input("account gone for good")
async def test_an_account_that_is_gone_for_good_is_a_notice_and_its_series_end(harness):
    harness.simulator.remove("acme", "a1")

    assert await harness.poll(5) == [DISAPPEARED]
    assert 'account_id="a1"' not in harness.exposition


@pytest.mark.odd_input("unusable id", "two ids of one person")
async def test_an_entry_with_an_id_of_its_own_is_an_account_whatever_the_id(harness):
    harness.simulator.override("acme", with_entry(id="NOT-A-UUID")(harness.listed()))
    assert await harness.poll(2) == []
    harness.simulator.clear_override("acme")

    assert await harness.poll(3) == [DISAPPEARED]


@pytest.mark.odd_input("same person under a new id")
async def test_the_spelling_of_an_address_does_not_hide_who_returned(harness):
    url = "http://linkedin.com/in/Jo%c3%a3o-Doe?trk=x"
    harness.simulator.add_account("acme", "João Doe", id="old", url=PROFILE)
    await harness.poll()
    harness.simulator.sign_out("acme", "old")
    await harness.poll()
    harness.simulator.remove("acme", "old")
    harness.simulator.add_account("acme", "João Doe", id="new", url=url)

    assert await harness.poll(5) == [RESOLVED]
    query = text("SELECT resolution FROM incident")
    assert harness.store.run_now(lambda tx: tx.execute(query).scalar_one()) == "replaced"


@pytest.mark.odd_input("two ids of one person")
async def test_two_ids_of_one_person_are_watched_both(harness):
    for id_ in ("first", "second"):
        harness.simulator.add_account("acme", "Jane Twice", id=id_, url=PROFILE)
    await harness.poll()
    harness.simulator.sign_out("acme", "first")
    harness.simulator.sign_out("acme", "second")

    assert await harness.poll() == [OPENED] * 2


@pytest.mark.odd_input("a thousand accounts freeze at once")
def test_a_thousand_accounts_that_freeze_at_once_are_one_message(store):
    harness = StoreHarness(store)
    harness.poll(*(listed_account(f"a{number}") for number in range(1000)))

    harness.poll(*(frozen(f"a{number}") for number in range(1000)))

    assert [len(message) for message in harness.deliver_all()] == [1000]

"""Every odd account list that was ever thought of, one after the other, on one running workspace.

None of them raises a false alert, and a true sign-out afterwards is told.
"""

from dataclasses import dataclass

import httpx
import pytest
from harness.core import frozen, listed_account
from harness.poll import TOKEN, PollHarness, poll_harness
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.core.policy import Flapping
from monitor.simulator import Fault
from monitor.store import accounts

NEVER = Flapping(changes=1000)

NAMES = (
    "😀 Zoë",
    "\u202eenaJ\u202c",
    "e\u0301\u0327" * 20,
    "山田太郎",
    "J\u200bane\u2060",
    "Jane\nDoe\r\nBcc: all@example.com",
    "x" * 5000,
    "",
    "<script>alert(1)</script><b>",
    "<!channel> <@U1> *bold* `code`",
    "[a](http://evil.test) **b**",
    "\"quoted\" 'single' back\\slash",
    "=cmd|' /C calc'!A0",
    "nul\x00 esc\x1b[31m",
)
URL = "https://www.linkedin.com/in/"


@dataclass
class Scene:
    """A station with a fleet of healthy accounts and ways to bend what it lists."""

    harness: PollHarness
    first: str
    second: str

    def patch(self, fields=None, without=()):
        self.harness.simulator.patch("acme", self.first, fields or {}, without=without)

    def straighten(self):
        simulator = self.harness.simulator
        simulator.clear_faults()
        simulator.clear_override("acme")
        for id_ in list(simulator.customer("acme").accounts):
            simulator.clear_patch("acme", id_)

    def link(self):
        """Return the link of the first account that is recorded."""
        run = self.harness.store.run_now
        return run(lambda tx: accounts.load(tx, "acme", self.first)).session.link

    def resolution(self):
        """Return how the only incident ended."""
        run = self.harness.store.run_now
        return run(lambda tx: tx.execute(text("SELECT resolution FROM incident")).scalar_one())

    async def true_list(self):
        """Return the accounts as the API lists them now."""
        address = f"{self.harness.api}/admin/accounts.getAll"
        async with httpx.AsyncClient() as client:
            answer = await client.post(address, headers={"linked-api-token": TOKEN})
        return answer.json()["result"]


@pytest.fixture
async def scene(tmp_path):
    async with poll_harness(tmp_path, accounts=8, flapping=NEVER) as harness:
        ids = list(harness.simulator.customer("acme").accounts)
        yield Scene(harness, ids[0], ids[1])


@pytest.mark.odd_input(
    "empty list at first",
    "list suddenly empty",
    "no account list",
    "no pending sessions",
    "null or absent details",
    "stale link of an active account",
    "unusable id",
    "same id twice",
    "hostile name",
    "two accounts of one name",
    "odd or moving connectedAt",
    "account gone for one poll",
    "two ids of one person",
    "unknown fields and extreme values",
    "odd pending sessions",
)
async def test_all_rows_in_sequence_raise_no_false_alert_and_a_true_sign_out_is_told(scene):
    harness, simulator = scene.harness, scene.harness.simulator
    told = []

    async def row(name, times=2):
        told.extend((name, *one) for one in await harness.poll(times))
        scene.straighten()
        told.extend((f"after {name}", *one) for one in await harness.poll(3))

    async def overridden(name, result, times=2):
        simulator.override("acme", result)
        await row(name, times)

    # 1: an empty list, first of all
    simulator.override("acme", {"accounts": [], "pendingConnectionSessions": []})
    await row("1 empty at first")
    listed = (await scene.true_list())["accounts"]

    await overridden("2 empty after having N", {"accounts": []}, times=4)
    for odd in ({}, None, {"accounts": None}, {"accounts": {}}, {"accounts": "no"}, [], 7):
        await overridden(f"3 result {odd}", odd, times=2)
    await overridden("4 no pending sessions", {"accounts": listed})
    await overridden("4 null", {"accounts": listed, "pendingConnectionSessions": None})
    scene.patch({"avatarUrl": None, "headline": None})
    await row("5 null fields")
    scene.patch(without=("url", "avatarUrl", "headline"))
    await row("5 the shape of spring")
    scene.patch({"reconnectionLink": "https://app.linkedapi.io/connection/stale"})
    await row("8 a stale link")
    for odd in ("", None, 7, "ABC-NOT-A-UUID"):
        await overridden(
            f"10 another entry with id {odd!r}", {"accounts": [*listed, {**listed[0], "id": odd}]}
        )
    await overridden("11 the same id twice", {"accounts": [*listed, listed[0]]})
    for name in NAMES:
        scene.patch({"name": name})
        await row(f"12 {name[:9]!r}")
    scene.patch({"name": listed[1]["name"]})
    await row("13 two of one name")
    for odd in (None, 5, "soon", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00+05:30"):
        scene.patch({"connectedAt": odd})
        await row(f"14 connectedAt {odd}")
    scene.patch(without=("connectedAt",))
    await row("14 no connectedAt")
    simulator.hide("acme", scene.first, polls=2)
    await row("15 gone for two polls", times=4)
    scene.patch({"url": f"{URL}somebody"})
    await row("18 a changed address")
    await overridden(
        "18 two ids of one address",
        {"accounts": [*listed, {**listed[0], "id": "second-id-of-one-person"}]},
    )
    await overridden(
        "23 extra fields", {"accounts": [{**listed[0], "x": {"y": [1e308]}}, *listed[1:]]}
    )
    deep = "[" * 5000 + "]" * 5000
    for body in (
        '{"success":true,"result":{"accounts":' + deep + "}}",
        '{"success":true,"result":{"accounts":[],"accounts":null}}',
        '{"success":true,"result":{"accounts":NaN}}',
    ):
        simulator.faults.add(Fault(status=200, body=body.encode(), times=2))
        await row(f"23 {body[-20:]}", times=2)
    await overridden(
        "24 odd pending sessions",
        {"accounts": listed, "pendingConnectionSessions": [{"status": "?"}, {}, None, 5]},
    )

    assert told == [  # two accounts really came and went; nothing else is told
        ("after 10 another entry with id 'ABC-NOT-A-UUID'", "notice", "disappeared"),
        ("after 18 two ids of one address", "notice", "disappeared"),
    ]
    simulator.sign_out("acme", scene.second)
    assert await harness.poll() == [("opened", "reconnection_required")]


@pytest.mark.odd_input("unknown status")
@pytest.mark.parametrize(
    "status", [None, "", 7, "ACTIVE", "reconnectionRequired", "suspended", [], {"a": 1}]
)
async def test_a_status_we_do_not_know_is_told_as_such_and_hides_no_other(scene, status):
    await scene.harness.poll()
    scene.patch({"status": status})
    scene.harness.simulator.sign_out("acme", scene.second)

    told = await scene.harness.poll()

    assert sorted(told) == [("opened", "reconnection_required"), ("opened", "unknown")]


@pytest.mark.odd_input("unknown status")
async def test_an_account_without_a_status_is_unknown(scene):
    await scene.harness.poll()
    scene.patch(without=("status",))

    assert await scene.harness.poll() == [("opened", "unknown")]


@pytest.mark.odd_input("sign-out without a link")
async def test_a_sign_out_without_link_is_told_without_one(scene):
    await scene.harness.poll()
    scene.harness.simulator.sign_out("acme", scene.first)
    scene.patch(without=("reconnectionLink", "reconnectionSessionId"))

    assert await scene.harness.poll() == [("opened", "reconnection_required")]


@pytest.mark.odd_input("same id twice")
async def test_the_worst_status_of_one_id_counts(scene):
    await scene.harness.poll()
    listed = (await scene.true_list())["accounts"]
    worse = {**listed[0], "status": "frozen"}
    scene.harness.simulator.override("acme", {"accounts": [*listed, worse]})

    assert await scene.harness.poll() == [("opened", "frozen")]


@pytest.mark.odd_input("account gone for good")
async def test_an_account_that_is_gone_for_good_is_a_notice_and_its_series_end(scene):
    await scene.harness.poll()
    scene.harness.simulator.remove("acme", scene.first)

    assert await scene.harness.poll(5) == [("notice", "disappeared")]
    assert scene.first not in scene.harness.metric


@pytest.mark.odd_input("same person under a new id")
async def test_a_person_who_returned_under_a_new_id_is_recognised(scene):
    await scene.harness.poll()
    scene.harness.simulator.sign_out("acme", scene.first)
    await scene.harness.poll()
    scene.harness.simulator.return_as_new("acme", scene.first)

    assert await scene.harness.poll(5) == [("resolved", "reconnection_required")]
    assert scene.resolution() == "replaced"


@pytest.mark.odd_input("alternating status")
async def test_alternating_statuses_are_damped(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        told = []
        for _ in range(20):
            harness.simulator.sign_out("acme", "*")
            told += await harness.poll()
            harness.simulator.recover("acme", "*")
            told += await harness.poll()

        assert len(told) == 6
        assert told[-1] == ("changed", "flapping")


@pytest.mark.odd_input("link rotates at each poll")
async def test_a_link_that_rotates_at_each_poll_is_one_incident(scene):
    await scene.harness.poll()
    scene.harness.simulator.sign_out("acme", scene.first)
    told = await scene.harness.poll()
    for _ in range(10):
        scene.harness.simulator.rotate_link("acme", scene.first)
        told += await scene.harness.poll()

    assert told == [("opened", "reconnection_required")]


@pytest.mark.odd_input("list suddenly empty")
async def test_a_list_that_is_suddenly_empty_is_not_believed_and_then_told_as_blindness(scene):
    await scene.harness.poll()
    scene.harness.simulator.override("acme", {"accounts": [], "pendingConnectionSessions": []})

    told = await scene.harness.poll(30)
    scene.straighten()

    assert told == [("opened", "bad_response")]
    assert await scene.harness.poll() == [("resolved", "bad_response")]


@pytest.mark.odd_input("odd or moving connectedAt")
async def test_a_time_of_connection_that_moves_at_each_poll_is_told_to_nobody(scene):
    told = []
    for minute in range(5):
        scene.patch({"connectedAt": f"2026-01-01T00:0{minute}:00Z"})
        told += await scene.harness.poll()

    assert told == []


@pytest.mark.odd_input("account gone for one poll")
async def test_an_account_that_is_gone_for_one_poll_was_never_gone(scene):
    await scene.harness.poll()
    scene.harness.simulator.sign_out("acme", scene.first)
    told = await scene.harness.poll()
    scene.harness.simulator.hide("acme", scene.first)

    assert told + await scene.harness.poll(5) == [("opened", "reconnection_required")]


ADDRESSES = (
    "https://www.linkedin.com/in/jo%C3%A3o-doe/",
    "https://www.linkedin.com/in/joão-doe",
    "http://linkedin.com/in/Jo%c3%a3o-Doe?trk=x",
)


@pytest.mark.odd_input("same person under a new id")
@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_spelling_of_an_address_does_not_hide_who_returned(scene, address):
    simulator = scene.harness.simulator
    simulator.add_account("acme", "João Doe", id="old", url=ADDRESSES[0])
    await scene.harness.poll()
    simulator.sign_out("acme", "old")
    await scene.harness.poll()
    simulator.remove("acme", "old")
    simulator.add_account("acme", "João Doe", id="new", url=address)

    assert await scene.harness.poll(5) == [("resolved", "reconnection_required")]
    assert scene.resolution() == "replaced"


@pytest.mark.odd_input("two ids of one person")
async def test_two_ids_of_one_person_are_watched_both(scene):
    simulator = scene.harness.simulator
    for one in ("first", "second"):
        simulator.add_account("acme", "Jane Twice", id=one, url=ADDRESSES[0])
    await scene.harness.poll()
    simulator.sign_out("acme", "first")
    simulator.sign_out("acme", "second")

    assert await scene.harness.poll() == [("opened", "reconnection_required")] * 2


@pytest.mark.odd_input("a thousand accounts freeze at once")
async def test_a_thousand_accounts_that_freeze_at_once_are_one_message(store):
    harness = StoreHarness(store)
    harness.poll(*(listed_account(f"a{number}") for number in range(1000)))

    harness.poll(*(frozen(f"a{number}") for number in range(1000)))

    assert len(harness.deliver()) == 1000
    assert harness.deliver() is None


@pytest.mark.odd_input("a thousand accounts freeze at once")
async def test_seats_that_are_given_back_freeze_and_thaw_the_rest(tmp_path):
    async with poll_harness(tmp_path, accounts=1000) as harness:
        await harness.poll()
        harness.simulator.set_seats("acme", 1)
        told = await harness.poll()
        harness.simulator.set_seats("acme", 1000)

        assert told == [("opened", "frozen")] * 999
        assert await harness.poll() == [("resolved", "frozen")] * 999


@pytest.mark.odd_input("recovery and loss between two polls")
async def test_a_recovery_and_a_loss_between_two_polls_refresh_the_link_and_nothing_else(scene):
    simulator = scene.harness.simulator
    simulator.tune(reconnection_moves_connected_at=True)
    await scene.harness.poll()
    simulator.sign_out("acme", scene.first)
    told = await scene.harness.poll()
    before = scene.link()

    simulator.set_session("acme", scene.first, "success")
    simulator.sign_out("acme", scene.first)
    told += await scene.harness.poll()

    assert told == [("opened", "reconnection_required")]
    assert scene.link() not in {None, before}

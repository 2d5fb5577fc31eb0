"""What is recorded of a person who is erased is nowhere any more."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from harness.core import HOUR, listed_account, signed_out
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.mutes import MuteRule
from monitor.core.route import Match, Receiver, Routing
from monitor.store import acts, mutes, personal_data
from monitor.store.db import Store
from monitor.work import act

ZEB = "zeb-4a1f"
PERSON = {"name": "Zebulon Quagga", "url": "https://www.linkedin.com/in/zebulon-quagga/"}
LINK = "https://app.linkedapi.io/connection/zeb-session"
ADDRESS = "zeb@quagga.example"
TRACES = (ZEB, "Zebulon", "zebulon", "Quagga", "quagga", "zeb-session", "1699.zeb")

OTHERS = tuple(listed_account(f"other-{number}") for number in range(3))
SAID = DeliveryError(
    "no mailbox zeb@quagga.example for Zebulon Quagga",
    reason=AttemptReason.CLIENT,
    remedy=Remedy.MEND,
)


def everywhere(store):
    """A database in which a person who has left stands wherever one can."""
    harness = StoreHarness(store, create=True, fallback="slack")
    rules = [AccountRule(AccountMatch(ids=("zeb-*",)), {"owner": ADDRESS})]
    inventory = Inventory({"acme": {}}, rules)
    routing = Routing(
        {"slack": Receiver("slack"), "mail": Receiver("mail", address_label="owner")},
        fallback="slack",
        inventory=inventory,
    )
    harness.rules = replace(harness.rules, routing=routing)
    harness.attach()
    harness.inventory = inventory
    harness.poll(*OTHERS, listed_account(ZEB, **PERSON))
    harness.poll(*OTHERS, signed_out(ZEB, link="", **PERSON))
    harness.poll(*OTHERS, signed_out(ZEB, link=LINK, **PERSON))
    harness.settle(harness.claim("slack"), post='{"ts": "1699.zeb"}')
    harness.deliver("mail")
    for subject in (ZEB, None):
        why = Act(harness.new_id(), harness.now, ActKind.ACK, Way.CLI, "ann", workspace="acme")
        why = replace(
            why, subject=subject, reason="Zebulon Quagga is on holiday", detail=subject or ""
        )
        harness.run(lambda tx, why=why: acts.write(tx, why))
    of_set = text("UPDATE event SET act_id = :id WHERE account_id = :account")
    harness.run(lambda tx: tx.execute(of_set, {"id": why.id, "account": ZEB}))
    for _ in range(3):
        harness.poll(*OTHERS, after=HOUR)
    harness.deliver("slack")
    harness.deliver("mail", error=SAID)
    title = text("UPDATE attempt SET title = 'Zebulon Quagga is signed out of LinkedIn'")
    harness.run(lambda tx: tx.execute(title))
    why = replace(why, id=harness.new_id(), act=ActKind.FORGET, subject=ZEB)
    harness.run(lambda tx: acts.write(tx, replace(why, reason="asked for by Zebulon Quagga")))
    return harness


def erased(harness, word=ZEB):
    def erase(tx):
        (account,) = personal_data.candidates(tx, word)
        return personal_data.erase(tx, account, salt="salt", now=harness.now)

    return harness.run(erase)


def traces(harness):
    return {
        (table, trace)
        for table, rows in harness.everything().items()
        for row in rows
        for trace in TRACES
        if trace in row
    }


def test_nothing_that_names_the_person_is_left_in_any_table(store):
    harness = everywhere(store)
    named = {table for table, _ in traces(harness)}
    assert named == {
        *("account", "act", "attempt", "event", "heard", "incident", "message", "notification"),
        *("post", "receiver", "session_intent", "transition"),
    }

    cancelled = erased(harness)

    assert traces(harness) == set()
    assert {(it.receiver, it.outcome, it.reason) for it in cancelled} == {
        ("mail", "cancelled", "by_hand")
    }


PERSONAL = {
    "account": "id name url country matched_name matched_url replaced_by",
    "act": "subject reason detail",
    "attempt": "answer title",
    "event": "account_id detail untold",
    "heard": "address",
    "incident": "subject detail acknowledged_reason",
    "message": "address undelivered_why done",
    "mute": "rule",
    "notification": "subject address",
    "post": "address receipt",
    "receiver": "failing_why",
    "session": "account_id id link",
    "session_intent": "account_id",
    "transition": "account_id",
}
"""What can name the person of an account: `erase` says what becomes of it."""

NOBODY = {
    "migration": "fingerprint",
    "replica": "id name",
    "generation": "fingerprint",
    "workspace": (
        "name holder failing_cause failing_detail fingerprint_salt fingerprint_token"
        " fingerprint_ignored fingerprint_rules refused_key"
    ),
    "acceptance": "workspace list_key way actor",
    "account": "workspace status raw_status changes",
    "act": "id act way actor login workspace",
    "attempt": "message_id reason",
    "event": "id type workspace incident_id reason cause act_id",
    "heard": "incident_id receiver message_id told_cause post_id",
    "incident": (
        "id workspace scope cause earlier status raw_status acknowledged_by acknowledged_way"
        " acknowledged_login resolution refresh"
    ),
    "message": "id workspace holder receiver undelivered_to state waits claimed_by",
    "mute": "id act_id made_by ended_by",
    "notification": (
        "id message_id event_id event incident_id workspace receiver state reason undelivered_to"
    ),
    "post": "id receiver",
    "receiver": "name",
    "session": "workspace",
    "session_intent": "id workspace incident_id act_id outcome",
    "transition": "workspace before after",
}
"""What names nobody, or who did something about it."""


def test_of_each_column_it_is_known_whether_it_can_name_the_person():
    schema = (files("monitor.store") / "schema.sql").read_text()
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", schema, re.DOTALL)

    for table, body in tables:
        declared = re.findall(r"^    (\w+) TEXT", body, re.MULTILINE)
        listed = f"{PERSONAL.get(table, '')} {NOBODY.get(table, '')}".split()
        assert sorted(declared) == sorted(listed), table


def test_what_is_counted_stays_and_still_belongs_together(store):
    harness = everywhere(store)
    before = {table: len(rows) for table, rows in harness.everything().items()}

    erased(harness)

    after = {table: len(rows) for table, rows in harness.everything().items()}
    assert after == before | {"post": 0, "outside": 1}
    (hashed,) = harness.column("SELECT id FROM account WHERE name = ''")
    for query in (
        "SELECT subject FROM incident",
        "SELECT account_id FROM event WHERE incident_id IS NOT NULL",
        "SELECT subject FROM notification",
        "SELECT account_id FROM session_intent",
    ):
        assert set(harness.column(query)) == {hashed}
    (owner,) = set(harness.column("SELECT address FROM heard WHERE receiver = 'mail'"))
    assert set(harness.column("SELECT address FROM message WHERE receiver = 'mail'")) == {owner}


def test_of_why_people_did_something_the_name_goes_and_why_it_was_erased_stays(store):
    harness = everywhere(store)

    erased(harness)

    reasons = harness.column("SELECT reason FROM act ORDER BY id")
    assert reasons == ["", "", "asked for by …"]


def test_what_is_of_others_is_as_it_was(store):
    harness = everywhere(store)
    others = harness.column("SELECT name FROM account WHERE id <> 'zeb-4a1f' ORDER BY id")

    erased(harness)

    assert harness.column("SELECT name FROM account WHERE name <> '' ORDER BY id") == others


def test_a_message_about_several_keeps_its_address_until_the_last_is_erased(store):
    harness = everywhere(store)
    both = ("zeb-1", "zeb-2")
    harness.poll(*OTHERS, *map(listed_account, both), after=HOUR)
    harness.rules = replace(harness.rules, policy=replace(harness.rules.policy, group_over=1))
    harness.poll(*OTHERS, *map(signed_out, both))
    for _ in range(3):
        harness.poll(*OTHERS, after=HOUR)
    ids = "SELECT message_id FROM notification WHERE receiver = 'mail' AND subject LIKE 'zeb-_'"
    shared = f"SELECT DISTINCT address FROM message WHERE id IN ({ids})"
    assert harness.column(shared) == [ADDRESS]
    (message,) = set(harness.column(f"{ids} AND event = 'opened'"))
    of_it = f"SELECT address FROM message WHERE id = '{message}'"

    erased(harness, "zeb-1")
    assert harness.column(of_it) == [ADDRESS]
    erased(harness, "zeb-2")
    assert harness.column(of_it) != [ADDRESS]


def test_a_running_monitor_hears_that_its_accounts_are_others(store):
    harness = everywhere(store)
    version = harness.column("SELECT version FROM workspace WHERE name = 'acme'")[0]
    outside = harness.column("SELECT changes FROM outside")

    erased(harness)

    assert harness.column("SELECT version FROM workspace WHERE name = 'acme'") == [version + 1]
    assert harness.column("SELECT changes FROM outside") != outside


@pytest.mark.parametrize("name", ["match", '"', "28", 'Zebulon “Q” \\ "Quagga"'])
def test_a_mute_forgets_whom_it_named_and_nothing_else(store, name):
    harness = StoreHarness(store)
    harness.poll(*OTHERS, listed_account(ZEB, name=name))
    match = Match(accounts=(f"{name}*", "other-0"), labels={"owner": name, "team": "x"})
    rule = MuteRule(
        match=match, cron="0 22 * * *", lasts=Duration.parse("8h"), reason=f"for {name}"
    )
    made = Act("1", harness.now, ActKind.MUTE, Way.CLI, "ann")
    harness.run(lambda tx: act.mute(tx, made, rule, None, "m"))
    for _ in range(3):
        harness.poll(*OTHERS)

    erased(harness)

    (recorded,) = harness.run(lambda tx: mutes.load(tx, harness.now))
    forgotten = replace(match, accounts=("…*", "other-0"), labels={"owner": "…", "team": "x"})
    assert recorded.rule == replace(rule, match=forgotten, lasts=rule.lasts, reason="for …")


def test_whether_a_message_about_it_is_being_sent_is_known(store):
    harness = everywhere(store)
    harness.poll(*OTHERS, listed_account("zeb-2"), after=HOUR)
    harness.poll(*OTHERS, signed_out("zeb-2"))

    def is_sent():
        return harness.run(
            lambda tx: [
                personal_data.is_being_sent(tx, it) for it in personal_data.candidates(tx, "zeb")
            ]
        )

    assert is_sent() == [False, False]
    claimed = harness.claim("slack")
    assert is_sent() == [True, False]
    harness.settle(claimed)
    assert is_sent() == [False, False]


def test_an_account_is_meant_by_its_id_or_name_or_the_start_of_its_id(store):
    harness = everywhere(store)
    harness.poll(*OTHERS, listed_account("zeb", name="Zebulon Quagga"), after=HOUR)

    def meant(word):
        return harness.run(lambda tx: [it.id for it in personal_data.candidates(tx, word)])

    assert meant("zeb") == ["zeb"]
    assert meant("zeb-") == [ZEB]
    assert meant("Zebulon Quagga") == ["zeb", ZEB]
    assert meant("%") == meant("") == []
    erased(harness, ZEB)
    assert meant("Zebulon Quagga") == ["zeb"]
    assert meant("erased") == []


# ── the files of SQLite ──────────────────────────────────────────────────────────────────────────


def found_in(folder):
    """The traces in the files of a database, by file."""
    return {
        (file.name, trace)
        for file in Path(folder).glob("monitor.db*")
        for trace in TRACES
        if trace.encode() in file.read_bytes()
    }


@pytest.fixture
def in_a_file(tmp_path):
    """A monitor's database, which it has open; enough is in it that its pages were split."""
    store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
    harness = everywhere(store)
    many = [listed_account(f"other-{number}") for number in range(200)]
    harness.poll(*many)
    harness.poll(*(signed_out(account.id) for account in many))
    harness.deliver_all()
    yield harness
    store.close()


def test_no_byte_of_the_files_names_the_person_while_a_monitor_has_them_open(in_a_file, tmp_path):
    assert {name for name, _ in found_in(tmp_path)} == {"monitor.db", "monitor.db-wal"}
    other = Store.open(f"sqlite:///{tmp_path}/monitor.db", create=False)
    here, in_a_file.store = in_a_file.store, other

    erased(in_a_file)
    assert other.empty_log(Duration.parse("5s"))

    assert found_in(tmp_path) == set()
    in_a_file.store = here
    other.close()
    assert found_in(tmp_path) == set()


def test_a_log_that_somebody_reads_is_not_emptied_and_that_is_known(in_a_file):
    with in_a_file.store.snapshot() as tx:
        tx.execute(text("SELECT 1 FROM account")).first()
        erased(in_a_file)

        assert not in_a_file.store.empty_log(Duration.parse("50ms"))

    assert in_a_file.store.empty_log(Duration.parse("50ms"))

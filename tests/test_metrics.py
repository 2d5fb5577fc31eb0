import shutil
import subprocess
import threading
import zlib

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.core.model import (
    Account,
    Cause,
    EventType,
    FailureStreak,
    Session,
    Status,
    Transition,
    Workspace,
)
from monitor.core.secret import Secret
from monitor.metrics import Metrics
from monitor.metrics.ledger import INFO, Ledger

NOON = 1_795_435_200_000_000
CONTRACT = {
    "linkedapi_account_status": {"workspace", "account_id", "status"},
    "linkedapi_account_info": {"workspace", "account_id", "name", "country"},
    "linkedapi_account_status_since_timestamp_seconds": {"workspace", "account_id"},
    "linkedapi_accounts": {"workspace", "status"},
    "linkedapi_account_transitions_total": {"workspace", "from", "to"},
    "linkedapi_workspace_up": {"workspace"},
    "linkedapi_last_successful_poll_timestamp_seconds": {"workspace"},
    "linkedapi_polls_total": {"workspace", "outcome"},
    "linkedapi_poll_duration_seconds": {"workspace"},
    "linkedapi_api_requests_total": {"method", "outcome"},
    "linkedapi_api_request_duration_seconds": {"method"},
    "linkedapi_incidents_open": {"workspace", "cause"},
    "linkedapi_incidents_total": {"workspace", "cause", "event"},
    "linkedapi_recovery_seconds": {"phase"},
    "linkedapi_reconnection_sessions_created_total": {"workspace", "outcome"},
    "linkedapi_notifications_total": {"receiver", "type", "event", "outcome"},
    "linkedapi_notification_attempts_total": {"receiver", "type", "reason"},
    "linkedapi_notification_latency_seconds": {"type"},
    "linkedapi_notifications_pending": {"receiver"},
    "linkedapi_oldest_pending_notification_timestamp_seconds": {"receiver"},
    "linkedapi_events_unrouted_total": set(),
    "linkedapi_monitor_build_info": {"version"},
    "linkedapi_monitor_config_last_reload_successful": set(),
}
SUFFIXES = {"", "_bucket", "_sum", "_count"}


def account(id_="a1", status=Status.ACTIVE, **values):
    known = {"name": "Jane", "url": "https://www.linkedin.com/in/jane/", "country": "DE"} | values
    return Account(
        workspace="acme",
        id=id_,
        status=status,
        raw_status=status.value,
        since=NOON,
        first_seen_at=NOON,
        **known,
    )


def acme(*accounts, **values):
    known = {"baseline_at": NOON, "last_good_at": NOON} | values
    return Workspace("acme", accounts={one.id: one for one in accounts}, **known)


@pytest.fixture
def metrics():
    return make()


def make(*, per_account="all", account_names=True):
    made = Metrics(version="1.2.3")
    made.configure(per_account=per_account, account_names=account_names)
    made.declare(workspaces=["acme"], receivers={"ops": "slack"})
    return made


def scrape(metrics):
    """Every series as (name, labels) → value, read by the client's own parser."""
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [one for family in families for one in family.samples]
    series = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(series) == len(samples), "a series is there twice"
    return series


def value(metrics, name, /, **labels):
    return scrape(metrics).get((name, frozenset(labels.items())))


def fill(metrics):
    """Let everything happen once."""
    metrics.workspace(acme(account(), account("a2", Status.FROZEN)), {Cause.FROZEN: 1})
    metrics.requested("accounts.getAll", "ok", 0.2)
    metrics.polled("acme", "ok", 0.3)
    metrics.transition(Transition("acme", "a2", Status.ACTIVE, Status.FROZEN, NOON))
    metrics.incident("acme", Cause.FROZEN, EventType.OPENED)
    metrics.recovery("active", 90)
    metrics.session_created("acme", "created")
    metrics.attempted("ops", "ok")
    metrics.settled("ops", "opened", "delivered")
    metrics.accepted("ops", 0.4)
    metrics.pending("ops", 2, NOON)
    metrics.unrouted()


def test_the_names_and_labels_are_the_contract(metrics):
    fill(metrics)

    shown: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        suffix = "_total" if family.type == "counter" else ""
        labels = set().union(*(one.labels for one in family.samples)) - {"le"}
        shown[family.name + suffix] = labels

    assert {name: labels for name, labels in shown.items() if "linkedapi" in name} == CONTRACT


def test_each_metric_is_one_group_with_one_help_and_type(metrics):
    metrics.declare(workspaces=["acme", "beta"], receivers={})
    fill(metrics)
    groups: list[str] = []

    for line in metrics.render().decode().splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0].split()[0]
        base = next((n for n in CONTRACT if name.removeprefix(n) in SUFFIXES), name)
        if not groups or groups[-1] != base:
            groups.append(base)

    ours = [name for name in groups if "linkedapi" in name]
    assert sorted(ours) == sorted(CONTRACT)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(metrics):
    fill(metrics)

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("linkedapi_polls_total", {"workspace": "acme", "outcome": "token_rejected"}),
        ("linkedapi_poll_duration_seconds_count", {"workspace": "acme"}),
        ("linkedapi_accounts", {"workspace": "acme", "status": "frozen"}),
        ("linkedapi_workspace_up", {"workspace": "acme"}),
        ("linkedapi_incidents_open", {"workspace": "acme", "cause": "unreachable"}),
        (
            "linkedapi_incidents_total",
            {"workspace": "acme", "cause": "frozen", "event": "opened"},
        ),
        (
            "linkedapi_account_transitions_total",
            {"workspace": "acme", "from": "active", "to": "reconnection_required"},
        ),
        (
            "linkedapi_reconnection_sessions_created_total",
            {"workspace": "acme", "outcome": "limited"},
        ),
        ("linkedapi_api_requests_total", {"method": "accounts.getAll", "outcome": "timeout"}),
        ("linkedapi_notifications_pending", {"receiver": "ops"}),
        (
            "linkedapi_notifications_total",
            {"receiver": "ops", "type": "slack", "event": "opened", "outcome": "dead"},
        ),
        (
            "linkedapi_notification_attempts_total",
            {"receiver": "ops", "type": "slack", "reason": "auth"},
        ),
        ("linkedapi_recovery_seconds_count", {"phase": "active"}),
        ("linkedapi_events_unrouted_total", {}),
    ],
)
def test_known_series_start_at_zero(metrics, name, labels):
    assert value(metrics, name, **labels) == 0


def test_everything_is_counted_once(metrics):
    before = scrape(metrics)

    fill(metrics)

    after = scrape(metrics)
    grown = {
        name: after[name, labels]
        for name, labels in after
        if name.endswith(("_total", "_count")) and name.startswith("linkedapi")
        if after[name, labels] != before.get((name, labels))
    }
    assert set(grown.values()) == {1}
    assert len(grown) == 12


def test_a_poll_falls_into_its_buckets(metrics):
    metrics.polled("acme", "ok", 0.25)
    metrics.polled("acme", "ok", 0.3)
    metrics.polled("acme", "unreachable", 40)

    buckets = [
        value(metrics, "linkedapi_poll_duration_seconds_bucket", workspace="acme", le=le)
        for le in ("0.25", "0.5", "30.0", "+Inf")
    ]

    assert buckets == [1, 2, 2, 3]
    assert value(metrics, "linkedapi_poll_duration_seconds_sum", workspace="acme") == 40.55


def test_accounts_show_their_present_status_only(metrics):
    metrics.workspace(acme(account(status=Status.ACTIVE)), {})
    metrics.render()
    metrics.workspace(acme(account(status=Status.FROZEN)), {})

    series = scrape(metrics)

    shown = [dict(labels) for name, labels in series if name == "linkedapi_account_status"]
    assert shown == [{"workspace": "acme", "account_id": "a1", "status": "frozen"}]
    since = "linkedapi_account_status_since_timestamp_seconds"
    assert value(metrics, since, workspace="acme", account_id="a1") == 1_795_435_200


def test_an_account_that_is_gone_has_no_series(metrics):
    metrics.workspace(acme(account("a1"), account("a2")), {})
    metrics.render()
    metrics.workspace(acme(account("a2")), {})

    assert b'account_id="a1"' not in metrics.render()
    assert value(metrics, "linkedapi_accounts", workspace="acme", status="active") == 1


def test_a_blind_workspace_is_down_and_its_accounts_keep_their_last_value(metrics):
    metrics.workspace(acme(account(status=Status.FROZEN)), {})
    failing = FailureStreak(Cause.UNREACHABLE, "no answer", NOON, cause_polls=1)

    metrics.workspace(acme(account(status=Status.FROZEN), failing=failing), {})

    assert value(metrics, "linkedapi_workspace_up", workspace="acme") == 0
    labels = {"workspace": "acme", "account_id": "a1", "status": "frozen"}
    assert value(metrics, "linkedapi_account_status", **labels) == 1


def test_a_workspace_is_up_after_its_first_good_poll(metrics):
    metrics.workspace(acme(baseline_at=None, last_good_at=None), {})
    assert value(metrics, "linkedapi_workspace_up", workspace="acme") == 0

    metrics.workspace(acme(), {})
    assert value(metrics, "linkedapi_workspace_up", workspace="acme") == 1


def test_the_last_good_poll_survives_a_restart_and_follows_polls(metrics):
    name = "linkedapi_last_successful_poll_timestamp_seconds"
    assert value(metrics, name, workspace="acme") is None

    metrics.workspace(acme(last_good_at=NOON), {})
    assert value(metrics, name, workspace="acme") == NOON / 1_000_000

    metrics.polled_well("acme", NOON + 60_000_000)
    metrics.workspace(acme(last_good_at=NOON), {})
    assert value(metrics, name, workspace="acme") == NOON / 1_000_000 + 60


def test_open_incidents_are_those_recorded(metrics):
    metrics.workspace(acme(), {Cause.FROZEN: 2, Cause.UNREACHABLE: 1})
    metrics.workspace(acme(), {Cause.FROZEN: 1})

    assert value(metrics, "linkedapi_incidents_open", workspace="acme", cause="frozen") == 1
    assert value(metrics, "linkedapi_incidents_open", workspace="acme", cause="unreachable") == 0


def test_appearing_and_disappearing_are_transitions_with_absent(metrics):
    metrics.transition(Transition("acme", "a1", None, Status.ACTIVE, NOON))
    metrics.transition(Transition("acme", "a1", Status.FROZEN, None, NOON))

    name = "linkedapi_account_transitions_total"
    came = {"workspace": "acme", "from": "absent", "to": "active"}
    went = {"workspace": "acme", "from": "frozen", "to": "absent"}
    assert (value(metrics, name, **came), value(metrics, name, **went)) == (1, 1)


def test_the_oldest_pending_notification_has_no_series_while_none_waits(metrics):
    name = "linkedapi_oldest_pending_notification_timestamp_seconds"
    metrics.pending("ops", 0, None)
    assert value(metrics, name, receiver="ops") is None

    metrics.pending("ops", 3, NOON)
    assert value(metrics, name, receiver="ops") == NOON / 1_000_000
    assert value(metrics, "linkedapi_notifications_pending", receiver="ops") == 3

    metrics.pending("ops", 0, None)
    assert value(metrics, name, receiver="ops") is None


def test_a_receiver_that_left_the_configuration_is_of_unknown_type(metrics):
    metrics.settled("gone", "opened", "cancelled")

    labels = {"receiver": "gone", "type": "unknown", "event": "opened", "outcome": "cancelled"}
    assert value(metrics, "linkedapi_notifications_total", **labels) == 1


@pytest.mark.row(12)
@pytest.mark.parametrize(
    "name",
    [
        'Jane "JJ" Doe',
        "back\\slash\\",
        "two\nlines",
        "carriage\rreturn",
        "a } b { c",
        "100 %s %(x)s",
        "\u202eevil\u2028",
        "Ünïcödé 漢字 🦊",
        '"} 1\nlinkedapi_workspace_up{workspace="acme"} 1',
    ],
)
def test_hostile_names_stay_inside_their_label(metrics, name):
    metrics.workspace(acme(account(name=name, id_=name, country=name)), {})

    labels = {"workspace": "acme", "account_id": name, "name": name, "country": name}
    assert value(metrics, "linkedapi_account_info", **labels) == 1
    assert value(metrics, "linkedapi_account_status", **labels) is None
    assert value(metrics, "linkedapi_workspace_up", workspace="acme") == 1


def test_half_a_character_does_not_end_the_scrape(metrics):
    metrics.workspace(acme(account(name="half \ud83e")), {})

    labels = {"workspace": "acme", "account_id": "a1", "name": "half ?", "country": "DE"}
    assert value(metrics, "linkedapi_account_info", **labels) == 1


def test_long_names_are_cut(metrics):
    metrics.workspace(acme(account(name="n" * 5000)), {})

    assert b'name="' + b"n" * 100 + b'"' in metrics.render()


def test_names_can_be_left_out():
    metrics = make(account_names=False)

    metrics.workspace(acme(account()), {})

    assert b"Jane" not in metrics.render()
    labels = {"workspace": "acme", "account_id": "a1", "country": "DE"}
    assert value(metrics, "linkedapi_account_info", **labels) == 1


@pytest.mark.parametrize(
    ("per_account", "shown"), [("all", {"a1", "a2"}), ("unhealthy", {"a2"}), ("none", set())]
)
def test_per_account_series_can_be_limited(per_account, shown):
    metrics = make(per_account=per_account)

    metrics.workspace(acme(account("a1"), account("a2", Status.FROZEN)), {})

    series = scrape(metrics)
    assert {dict(labels)["account_id"] for _, labels in series if "account_id" in dict(labels)} == (
        shown
    )
    assert value(metrics, "linkedapi_accounts", workspace="acme", status="active") == 1


def test_no_link_and_no_session_is_ever_shown(metrics):
    link = "https://app.linkedapi.io/connection/d90ac1f6"
    session = Session("session-77", Secret(link))

    metrics.workspace(acme(account(status=Status.RECONNECTION_REQUIRED, session=session)), {})

    text = metrics.render()
    assert b"d90ac1f6" not in text
    assert b"session-77" not in text


def pieces(metrics):
    """The pieces of which the page of workspaces consists, but for the headers."""
    return [one for one in metrics._pieces() if not one.text.startswith(b"#")]


def written_anew(metrics, change):
    """The pieces that *change* makes the next scrape write again, as text."""
    before = {id(one): one for one in pieces(metrics)}

    change()

    return [one.text for one in pieces(metrics) if id(one) not in before]


def test_what_did_not_change_is_not_written_again(metrics):
    fill(metrics)

    assert written_anew(metrics, lambda: None) == []


def test_a_poll_without_news_writes_only_what_tells_of_polls(metrics):
    fill(metrics)

    def poll():
        metrics.polled("acme", "ok", 0.3)
        metrics.polled_well("acme", NOON + 60_000_000)

    anew = written_anew(metrics, poll)

    assert [text.partition(b"{")[0].decode() for text in anew] == [
        "linkedapi_last_successful_poll_timestamp_seconds",
        "linkedapi_polls_total",
        "linkedapi_poll_duration_seconds_bucket",
    ]


def test_one_changed_account_of_many_writes_a_hundred_of_one_workspace(metrics):
    accounts = {f"a{n}": account(f"a{n}") for n in range(1000)}
    metrics.workspace(acme(*accounts.values()), {})
    metrics.workspace(Workspace("beta", accounts={"b1": account("b1")}), {})
    accounts["a555"] = account("a555", Status.FROZEN)

    anew = written_anew(metrics, lambda: metrics.workspace(acme(*accounts.values()), {}))

    of_accounts = [text for text in anew if b"account_id=" in text]
    assert [text.count(b"\n") for text in of_accounts] == [100, 100, 100]
    assert all(b'"a555"' in text and b'"beta"' not in text for text in of_accounts)
    assert any(b'status="frozen"} 1\n' in text for text in anew)


def test_the_same_accounts_read_again_are_not_written_again(metrics):
    metrics.workspace(acme(account(), account("a2")), {})

    assert written_anew(metrics, lambda: metrics.workspace(acme(account(), account("a2")), {})) == (
        []
    )


def test_fewer_accounts_leave_no_series_behind(metrics):
    metrics.workspace(acme(*(account(f"a{n}") for n in range(250))), {})
    metrics.render()
    metrics.workspace(acme(*(account(f"a{n}") for n in range(120))), {})

    assert metrics.render().count(b"linkedapi_account_info{") == 120


def test_accounts_are_written_again_when_their_names_are_no_longer_to_be_shown():
    ledger = Ledger("acme")
    ledger.show(acme(account()), {})
    (shown,) = ledger.account_series("all", names=True)
    (hidden,) = ledger.account_series("all", names=False)

    assert b"Jane" in shown[INFO].text
    assert b"Jane" not in hidden[INFO].text


def test_a_compressed_page_is_one_ordinary_gzip_stream(metrics):
    fill(metrics)
    many = {f"a{n}": account(f"a{n}", name=f"Ünïcödé 漢字 🦊 {n}") for n in range(1000)}
    metrics.workspace(Workspace("beta", accounts=many), {})
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)

    text = reader.decompress(metrics.render(compressed=True))

    assert reader.eof  # with the right checksum and length
    assert reader.unused_data == b""
    assert of_workspaces(text) == of_workspaces(metrics.render())


def of_workspaces(page):
    """The part of a page that is the same at each scrape: nothing of the process."""
    return page[: page.index(b"# HELP linkedapi_api_requests")]


def test_scrapes_and_counting_from_threads_do_not_disturb_each_other(metrics):
    finished = threading.Event()
    scraped = []

    names = [f"workspace-{number}" for number in range(300)]

    def count():
        for number, name in enumerate(names, start=1):
            metrics.declare(workspaces=names[:number], receivers={})
            metrics.polled(name, "ok", 0.1)
            metrics.workspace(Workspace(name, accounts={"a1": account()}), {})
        finished.set()

    def watch():
        while not finished.is_set() or not scraped:
            scraped.append(metrics.render())

    threads = [threading.Thread(target=target) for target in (count, watch, watch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert metrics.render().count(b'outcome="ok"} 1\n') >= 300


def test_there_are_the_declared_workspaces_and_no_others(metrics):
    fill(metrics)

    metrics.declare(workspaces=["beta"], receivers={"ops": "slack"})
    fill(metrics)

    assert not [labels for _, labels in scrape(metrics) if ("workspace", "acme") in labels]
    assert value(metrics, "linkedapi_workspace_up", workspace="beta") == 0


def test_what_was_counted_of_a_workspace_that_stays_outlives_a_declaration(metrics):
    fill(metrics)
    before = scrape(metrics)

    metrics.declare(workspaces=["acme", "beta"], receivers={"ops": "slack"})

    after = scrape(metrics)
    ours = {key for key in before if key[0].startswith("linkedapi")}
    assert {key: after[key] for key in ours} == {key: before[key] for key in ours}


def test_nothing_pends_for_a_receiver_that_left_and_what_was_counted_is_history(metrics):
    fill(metrics)

    for _ in range(2):
        metrics.declare(workspaces=["acme"], receivers={"crm": "webhook"})

    pending = {labels for name, labels in scrape(metrics) if "pending" in name}
    assert pending == {frozenset({("receiver", "crm")})}
    told = {"receiver": "ops", "type": "slack", "event": "opened", "outcome": "delivered"}
    assert value(metrics, "linkedapi_notifications_total", **told) == 1
    metrics.settled("ops", "opened", "delivered")
    assert value(metrics, "linkedapi_notifications_total", **told) == 2


def test_a_receiver_that_comes_back_pends_again(metrics):
    metrics.declare(workspaces=["acme"], receivers={})
    metrics.declare(workspaces=["acme"], receivers={"ops": "slack"})

    assert value(metrics, "linkedapi_notifications_pending", receiver="ops") == 0


def test_accounts_are_shown_in_another_way_from_now_on(metrics):
    fill(metrics)
    shown = "linkedapi_account_status"
    scrape(metrics)

    metrics.configure(per_account="unhealthy", account_names=False)
    unhealthy = scrape(metrics)
    metrics.configure(per_account="none", account_names=True)
    none = scrape(metrics)
    metrics.configure(per_account="all", account_names=True)

    def accounts(series):
        return {dict(labels)["account_id"] for name, labels in series if name == shown}

    assert (accounts(unhealthy), accounts(none)) == ({"a2"}, set())
    assert not any("Jane" in dict(labels).get("name", "") for _, labels in unhealthy)
    assert accounts(scrape(metrics)) == {"a1", "a2"}
    assert any("Jane" in dict(labels).get("name", "") for _, labels in scrape(metrics))


def test_whether_the_configuration_was_loaded_is_shown(metrics):
    name = "linkedapi_monitor_config_last_reload_successful"
    shown = [value(metrics, name)]
    for successful in (False, True):
        metrics.reloaded(successful=successful)
        shown.append(value(metrics, name))

    assert shown == [1, 0, 1]


def test_two_monitors_in_one_process_share_nothing():
    one, other = make(), make()

    one.unrouted()

    assert value(other, "linkedapi_events_unrouted_total") == 0

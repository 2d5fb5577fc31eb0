from dataclasses import replace

import pytest
from harness.core import NOON, UNREACHABLE
from harness.metrics import account, page_of

from monitor.core.model import Cause, FailureStreak, Status

STATUS = "linkedapi_account_status"


def shown(metrics):
    """The accounts shown: [(id, status)]."""
    series = [dict(labels) for name, labels in metrics.series() if name == STATUS]
    return [(labels["account_id"], labels["status"]) for labels in series]


def test_accounts_show_their_present_status_only_and_none_once_they_are_gone(metrics):
    metrics.show(account("a1"), account("a2"))
    page_of(metrics)
    metrics.show(account("a2", Status.FROZEN))

    assert shown(metrics) == [("a2", "frozen")]
    assert 'account_id="a1"' not in page_of(metrics)
    since = "linkedapi_account_status_since_timestamp_seconds"
    assert metrics.value(since, workspace="acme", account_id="a2") == 1_795_435_200
    assert metrics.value("linkedapi_accounts", workspace="acme", status="active") == 0
    assert metrics.value("linkedapi_accounts", workspace="acme", status="frozen") == 1


def test_a_workspace_is_up_while_it_is_read_and_its_accounts_keep_their_last_value(metrics):
    failing = FailureStreak(UNREACHABLE.cause, UNREACHABLE.detail, NOON, NOON)
    for values, up in ({"baseline_at": None}, 0), ({}, 1), ({"failing": failing}, 0):
        metrics.show(account(status=Status.FROZEN), **values)

        assert metrics.value("linkedapi_workspace_up", workspace="acme") == up
        assert shown(metrics) == [("a1", "frozen")]


def test_the_last_good_poll_follows_polls(metrics):
    name = "linkedapi_last_successful_poll_timestamp_seconds"
    metrics.show()
    assert metrics.value(name, workspace="acme") is None

    metrics.poll_succeeded("acme", NOON)
    metrics.show()

    assert metrics.value(name, workspace="acme") == NOON / 1_000_000


def test_open_incidents_are_those_recorded(metrics):
    metrics.show(incidents={Cause.FROZEN: 2, Cause.UNREACHABLE: 1})
    metrics.show(incidents={Cause.FROZEN: 1})

    assert metrics.value("linkedapi_incidents_open", workspace="acme", cause="frozen") == 1
    assert metrics.value("linkedapi_incidents_open", workspace="acme", cause="unreachable") == 0


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize(
    ("per_account", "ids"), [("all", ["a1", "a2"]), ("unhealthy", ["a2"]), ("none", [])]
)
def test_accounts_and_names_can_be_left_out_and_shown_again(metrics, per_account, names, ids):
    metrics.fill()
    for _ in range(2):
        metrics.configure(per_account=per_account, account_names=names)

        page = page_of(metrics)
        assert [id_ for id_, _ in shown(metrics)] == ids
        assert ("account_id" in page) is bool(ids)
        assert ("Jane" in page) is (names and bool(ids))
        assert ("linkedin.com/in/jane" in page) is (names and bool(ids))
        assert page.count(',country="DE"') == len(ids)
        assert metrics.value("linkedapi_accounts", workspace="acme", status="active") == 1

        metrics.configure(per_account="all", account_names=True)
        assert page_of(metrics).count('name="Jane",country="DE",url="https://') == 2


# ── what is written again ────────────────────────────────────────────────────────────────────────


def test_one_changed_account_of_many_writes_a_hundred_of_one_workspace(metrics):
    metrics.declare(workspaces=["acme", "beta"], receivers={})
    accounts = {f"a{n}": account(f"a{n}") for n in range(1000)}
    metrics.show(*accounts.values())
    metrics.show(account("b1"), name="beta")
    accounts["a555"] = account("a555", Status.FROZEN)

    rewritten = metrics.rewritten(lambda: metrics.show(*accounts.values()))

    of_accounts = [text for text in rewritten if b"account_id=" in text]
    assert [text.count(b"\n") for text in of_accounts] == [100, 100, 100]
    assert all(b'"a555"' in text and b'"beta"' not in text for text in of_accounts)
    assert any(b'status="frozen"} 1\n' in text for text in rewritten)


def test_the_same_accounts_read_again_are_not_written_again(metrics):
    metrics.show(account(), account("a2"))

    assert metrics.rewritten(lambda: metrics.show(account(), account("a2"))) == []


def test_fewer_accounts_leave_no_series_behind(metrics):
    metrics.show(*(account(f"a{n}") for n in range(250)))
    page_of(metrics)
    metrics.show(*(account(f"a{n}") for n in range(120)))

    assert page_of(metrics).count("linkedapi_account_info{") == 120


@pytest.mark.odd_input("hostile name")
def test_a_name_is_no_markup_and_no_address_where_alerts_put_it(metrics):
    name = "<!channel> “Eve” \u202e<http://evil.example|here>\nx & \u0301@here " + "x" * 500
    metrics.show(replace(account("a1"), name=name, country="<!here>\r"))

    (info,) = (dict(labels) for name, labels in metrics.series() if name.endswith("account_info"))
    shown = "‹!channel› 'Eve' ‹http://evil.example|here› x & @here"
    assert info["name"].replace("\u2060", "").startswith(shown)
    assert "evil.example" not in info["name"]
    assert len(info["name"]) <= 200
    assert info["country"] == "‹!here›"


@pytest.mark.odd_input("hostile name")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://linkedin.evil.example/in/jane/",
        'https://www.linkedin.com/in/"} 1',
        "javascript:1",
    ],
)
def test_an_address_that_is_no_profile_is_not_shown(metrics, url):
    metrics.show(replace(account("a1"), url=url))

    (info,) = (dict(labels) for name, labels in metrics.series() if name.endswith("account_info"))
    assert info["url"] == ""

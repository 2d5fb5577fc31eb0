import json

import pytest
from harness.answers import api_error

from monitor.cli.output import Exit


@pytest.fixture
def check(run, api, configured):
    """Run the command against the simulated API."""
    return lambda more="": run("check", "-c", configured(api, more))


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("recover", "active", Exit.OK),
        ("sign_out", "reconnection_required", Exit.NEEDS_LOGIN),
        ("freeze", "frozen", Exit.FROZEN),
    ],
)
def test_check_shows_every_account_but_no_link(check, simulator, action, status, code):
    simulator.add_accounts("acme", 3)
    getattr(simulator, action)("acme", "*")

    ran = check()

    assert ran.code == code
    assert [row["status"] for row in ran.data] == [status] * 3
    assert set(ran.data[0]) >= {"workspace", "id", "name", "url", "country", "status", "raw_status"}
    assert "/connection/" not in ran.out + ran.err


def test_check_leaves_out_who_is_ignored_and_says_who_owns_the_others(check, simulator):
    simulator.add_account("acme", name="Test Robot")
    simulator.add_account("acme", name="Jane Doe")
    simulator.sign_out("acme", "Test Robot")

    ran = check("accounts: [{match: {name: 'Test *'}, ignore: true}, {labels: {owner: jane@x.de}}]")

    assert ran.code == 0
    assert [(row["name"], row["labels"]) for row in ran.data] == [
        ("Jane Doe", {"owner": "jane@x.de"})
    ]


def test_check_marks_what_the_file_mutes_and_warns_of_what_matches_nobody(check, simulator):
    for name in ("Jane Doe", "John Roe"):
        simulator.add_account("acme", name=name)
    match = "{match: {account: ['Jane *', 'Nobody *']}, until: 2099-01-01}"

    ran = check(f"mutes: [{match}, {{match: {{cause: frozen}}, until: forever}}]")

    assert {row["name"]: row["muted_until"] for row in ran.data} == {
        "Jane Doe": "2099-01-01T00:00:00.000Z",
        "John Roe": None,
    }
    assert "no account is called 'Nobody *'" in ran.err
    assert "Jane" not in ran.err


def test_check_writes_nothing(check, simulator, tmp_path):
    simulator.add_accounts("acme", 1)

    assert check().data
    assert not (tmp_path / "monitor.db").exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (api_error("invalidLinkedApiToken", status=401), Exit.AUTH_OR_CONFIG),
        (api_error("tooManyRequests", status=429), Exit.RATE_LIMIT),
        (api_error("somethingNew", status=400), Exit.GENERAL),
    ],
)
def test_check_says_why_a_workspace_cannot_be_read(check, simulator, fault, code):
    simulator.faults.add(fault)

    ran = check()

    assert ran.code == code
    assert json.loads(ran.err)["message"].startswith("acme: ")
    assert ran.out == ""


@pytest.mark.parametrize(
    ("status", "seats", "problem"),
    [
        ("past_due", 3, "the Linked API subscription is unpaid"),
        ("active", 2, "the Linked API subscription has too few seats"),
        (None, 3, "the Linked API subscription is not active"),
    ],
)
@pytest.mark.case("subscription")
def test_check_says_what_is_wrong_with_the_subscription(check, simulator, status, seats, problem):
    simulator.add_accounts("acme", 3)
    simulator.set_subscription("acme", status)
    simulator.set_seats("acme", seats)
    simulator.recover("acme", "*")

    ran = check()

    assert json.loads(ran.err)["message"] == f"acme: {problem}"


@pytest.mark.case("subscription")
def test_check_says_that_a_token_may_not_ask_and_that_is_no_error(check, simulator):
    simulator.add_accounts("acme", 1)
    simulator.faults.add(api_error("accessDenied", status=403, method="subscription.getStatus"))

    ran = check()

    assert ran.code == 0
    assert json.loads(ran.err)["message"].startswith("acme: the subscription can't be asked about")


def test_check_does_not_ask_about_the_subscription_where_that_is_not_wanted(check, simulator):
    simulator.add_accounts("acme", 1)
    simulator.set_subscription("acme", "past_due")

    ran = check("subscription: false")

    assert (ran.code, ran.err) == (0, "")

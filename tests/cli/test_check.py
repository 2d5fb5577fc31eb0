import json

import pytest

from monitor.cli.output import Exit
from monitor.simulator import api_error


def test_check_shows_every_account_and_exits_0_when_all_is_well(run, api, configured):
    simulator, url = api
    simulator.add_accounts("acme", 3)

    ran = run("check", "-c", configured(url))

    assert ran.code == 0
    assert {row["status"] for row in ran.data} == {"active"}
    assert set(ran.data[0]) >= {"workspace", "id", "name", "url", "country", "status", "raw_status"}


@pytest.mark.parametrize(
    ("change", "code"), [("sign_out", Exit.NEEDS_LOGIN), ("freeze", Exit.FROZEN)]
)
def test_check_tells_by_its_exit_code_what_is_wrong(run, api, configured, change, code):
    simulator, url = api
    simulator.add_accounts("acme", 3)
    simulator.perform(change, {"customer": "acme", "account": "*"})

    assert run("check", "-c", configured(url)).code == code


def test_check_leaves_out_who_is_ignored_and_says_who_owns_the_others(run, api, configured):
    simulator, url = api
    simulator.add_account("acme", name="Test Robot")
    simulator.add_account("acme", name="Jane Doe")
    simulator.sign_out("acme", "Test Robot")
    accounts = "accounts: [{match: {name: 'Test *'}, ignore: true}, {labels: {owner: jane@x.de}}]"

    ran = run("check", "-c", configured(url, accounts))

    assert ran.code == 0
    assert [(row["name"], row["labels"]) for row in ran.data] == [
        ("Jane Doe", {"owner": "jane@x.de"})
    ]


def test_check_writes_nothing_and_shows_no_link(run, api, configured, tmp_path):
    simulator, url = api
    simulator.add_accounts("acme", 1)
    simulator.sign_out("acme", "*")

    ran = run("check", "-c", configured(url))

    assert "/connection/" not in ran.out + ran.err
    assert not (tmp_path / "monitor.db").exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (api_error("invalidLinkedApiToken", status=401), Exit.AUTH_OR_CONFIG),
        (api_error("tooManyRequests", status=429), Exit.RATE_LIMIT),
        (api_error("somethingNew", status=400), Exit.GENERAL),
    ],
)
def test_check_says_why_a_workspace_cannot_be_read(run, api, configured, fault, code):
    simulator, url = api
    simulator.faults.add(fault)

    ran = run("check", "-c", configured(url))

    assert ran.code == code
    assert json.loads(ran.err)["message"].startswith("acme: ")
    assert ran.out == ""


def test_check_exits_7_when_nothing_answers(run, configured):
    assert run("check", "-c", configured()).code == Exit.NETWORK

import pytest

from monitor.config.settings import PollSettings

from .conftest import WORKSPACE

NOON = 1_795_435_200_000_000
RECEIVER = "receivers: [{name: own, type: email, host: h, from: a@example.com, to: %s}]\n"

WRONG = {
    "neither token nor file": (
        "workspaces:\n  - name: a",
        "2: workspaces[0]: needs a token or a token_file",
    ),
    "a token and a file": (
        "workspaces:\n  - name: a\n    token: b\n    token_file: c",
        "2: workspaces[0]: has both a token and a token_file; keep one",
    ),
    "an empty token": ("workspaces: [{token: ''}]", "1: workspaces[0].token: is empty"),
    "no address at all": ("linked_api: {base_url: 'http://['}", "2: linked_api.base_url: must "),
    "a username without a password": (
        "receivers:\n  - {name: a, type: email, host: b, from: a@b, to: [a@b], username: c}",
        "3: receivers[0]: needs password or password_file",
    ),
    "a password without a username": (
        "receivers:\n  - {name: a, type: email, host: b, from: a@b, to: [a@b], password: c}",
        "3: receivers[0]: has a password but no username",
    ),
    "polls within a second": ("poll: {every: 999ms}", "2: poll.every: must be 1s or longer"),
    "two rhythms": (
        "poll:\n  every: 1m\n  cron: '* * * * *'",
        "2: poll: has both every and cron; keep one",
    ),
    "two rhythms of a workspace": (
        "workspaces: [{token: x, poll: {every: 1m, cron: '* * * * *'}}]",
        "1: workspaces[0].poll: has both every and cron; keep one",
    ),
    "a crontab with a wrong field": (
        "poll:\n  cron: '0 25 * * *'",
        (
            '3: poll.cron: must be five fields such as "*/5 8-20 * * mon-fri";'
            " the hour '25' cannot be read"
        ),
    ),
    "a crontab that never comes": (
        "poll: {cron: '0 0 31 4 *'}",
        "2: poll.cron: must come up some day: there is no such date",
    ),
    "an empty label": (
        RECEIVER % "{label: ''}",
        "2: receivers[0].to.label: must have 1 or more characters",
    ),
    "a number for a label": (
        RECEIVER % "{label: 5}",
        "2: receivers[0].to.label: must be text: put it in quotes",
    ),
    "nobody to write to": (RECEIVER % "{}", "2: receivers[0].to.label: is missing"),
    "an address that is none": (
        RECEIVER % "[ops]",
        "2: receivers[0].to: must be an address such as ops@example.com or Ops <ops@example.com>",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_what_settings_refuse_is_reported_once_with_its_line(only_problem_of, text, expected):
    assert only_problem_of(text).startswith(expected)


@pytest.mark.parametrize("name", ["Berlin", "Mars/Olympus", "''", "../etc/passwd", "Europe"])
def test_a_time_zone_that_nobody_knows_is_refused(only_problem_of, name):
    problem = only_problem_of(f"poll: {{cron: '* * * * *', timezone: {name}}}")

    assert problem.startswith("2: poll.timezone: must be a time zone such as UTC or Europe/Berlin")


def test_a_misspelt_label_is_missing_too(problems_of):
    assert problems_of(WORKSPACE + RECEIVER % "{lable: owner}") == [
        "2: receivers[0].to.label: is missing",
        "2: receivers[0].to.lable: unknown key; did you mean label?",
    ]


def test_entries_of_accounts_are_refused_with_their_lines(problems_of):
    assert problems_of(
        WORKSPACE
        + """accounts:
  - {match: {name: x}}
  - {}
  - {ignore: true}
  - {match: {name: []}, ignore: true}
  - {match: {nme: x}, ignore: true}
  - {ignore: maybe}
  - {labels: {tier: 1}}
  - jane
"""
    ) == [
        "3: accounts[0]: needs labels, or ignore: true",
        "4: accounts[1]: needs labels, or ignore: true",
        "5: accounts[2]: would ignore every account; say in match which ones",
        "6: accounts[3]: would ignore every account; say in match which ones",
        "7: accounts[4].match.nme: unknown key; did you mean name?",
        "8: accounts[5].ignore: must be true or false",
        "9: accounts[6].labels.tier: must be text: put it in quotes",
        "10: accounts[7]: must hold keys and values",
    ]


def test_the_next_poll_is_due_as_the_rhythm_says():
    every = PollSettings(every="90s")
    cron = PollSettings(cron="0 8 * * *", timezone="Asia/Kolkata")

    assert every.next_due(NOON) == NOON + 90_000_000
    assert every.rhythm == every.every
    assert cron.next_due(NOON) == cron.rhythm(NOON) == NOON + 52_200_000_000


def test_the_secrets_are_all_there_to_be_redacted(load_text):
    config = load_text(
        """
workspaces: [{name: a, token: token-a}, {name: b, token: token-b}]
linked_api: {proxy: "http://me:proxy%20password@proxy:3128"}
receivers:
  - {name: ops, type: slack, url: "https://hooks.slack.com/services/x"}
web: {metrics_token: hush}
storage: {url: "sqlite:///x.db"}
"""
    )

    assert {secret.reveal() for secret in config.secrets()} == {
        *("token-a", "token-b", "hush", "https://hooks.slack.com/services/x"),
        *("http://me:proxy%20password@proxy:3128", "proxy%20password", "proxy password"),
    }


@pytest.mark.parametrize(
    ("base_url", "simulated"),
    [
        ("https://api.linkedapi.io/v1", ()),
        ("http://127.0.0.1:8080/v1", ("http://127.0.0.1:8080",)),
    ],
)
def test_a_simulated_api_may_have_links_to_its_own_pages(load_text, base_url, simulated):
    config = load_text(WORKSPACE + f"linked_api: {{base_url: '{base_url}'}}")

    assert config.link_origins == ("https://app.linkedapi.io", *simulated)

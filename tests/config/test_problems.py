import pytest

from monitor.config import ConfigError

from .conftest import WORKSPACE

SLACK = "{name: ops, type: slack, url: 'https://hooks.slack.com/services/x'}"

WRONG = {
    "a misspelt section": ("recievers: []", "2: recievers: unknown key; did you mean receivers?"),
    "a misspelt key": ("poll: {evry: 1m}", "2: poll.evry: unknown key; did you mean every?"),
    "a misspelt key of a dataclass": (
        "incidents:\n  flapping: {change: 3}",
        "3: incidents.flapping.change: unknown key; did you mean changes?",
    ),
    "a key like no other": ("zzz: 1", "2: zzz: unknown key"),
    "a key that may be a secret": ("xoxb-1234567890=: 1", "2: …: unknown key"),
    "the private side of the value": ("warnings: []", "2: warnings: unknown key"),
    "a key written twice": (
        "poll:\n  every: 1m\n  every: 2m",
        "4: poll.every: is written twice; the first is in line 3",
    ),
    "a section that is a word": ("poll: often", "2: poll: must hold keys and values"),
    "a policy that is a word": ("incidents: 5", "2: incidents: must hold keys and values"),
    "a word that is a section": ("timezone: {}", "2: timezone: must be text"),
    "a number for text": ("timezone: 5", "2: timezone: must be text: put it in quotes"),
    "a number for a duration": (
        "poll: {every: 60}",
        "2: poll.every: must be a duration such as 30s, 5m, 2h or 7d, not 60",
    ),
    "text for a number": (
        "incidents: {open_after: soon}",
        "2: incidents.open_after: must be a whole number",
    ),
    "a fraction": (
        "incidents: {open_after: 1.5}",
        "2: incidents.open_after: must be a whole number",
    ),
    "infinity": (
        "incidents: {open_after: .inf}",
        "2: incidents.open_after: must be a finite number",
    ),
    "a number out of range": (
        "linked_api: {requests_per_minute: 101}",
        "2: linked_api.requests_per_minute: must be 100 or less",
    ),
    "text for a truth": (
        "metrics: {account_names: maybe}",
        "2: metrics.account_names: must be true or false",
    ),
    "a word that is no choice": (
        "log: {format: jsn}",
        "2: log.format: must be json or console, not 'jsn'",
    ),
    "one of many words": (
        "routes:\n  - to: ops\n    match: {cause: frozne}\nreceivers: [{name: ops, type: log}]",
        (
            "4: routes[0].match.cause: must be reconnection_required, frozen, unknown, flapping,"
            " unreachable, token_rejected, rate_limited or bad_response, not 'frozne';"
            " did you mean frozen?"
        ),
    ),
    "a number for a word": ("log: {format: 5}", "2: log.format: must be json or console"),
    "what a part says of a key of its own": (
        "incidents:\n  open_after: 1\n  remind_max: -1",
        "4: incidents.remind_max: must not be negative",
    ),
    "what a part says of an item": (
        "incidents:\n  remind:\n    - 1h\n    - often",
        "5: incidents.remind[1]: must be a duration such as 30s, 5m, 2h or 7d, not 'often'",
    ),
    "a map where a list belongs": (
        "receivers: {}",
        "2: receivers: must be a list; start each entry with `- `",
    ),
    "an item that is a word": ("routes: [ops]", "2: routes[0]: must hold keys and values"),
    "a receiver that is a word": ("receivers: [ops]", "2: receivers[0]: must hold keys and values"),
    "an unknown type": (
        "receivers: [{name: ops, type: slak}]",
        "2: receivers[0].type: unknown type; did you mean slack?",
    ),
    "a type that is no word": (
        "receivers: [{name: ops, type: [1]}]",
        "2: receivers[0].type: unknown type (it can be",
    ),
    "no type": ("receivers:\n  - name: ops", "3: receivers[0].type: is missing; it can be"),
    "a missing key": (
        "receivers:\n\n  - {type: log}",
        "4: receivers[0].name: is missing",
    ),
    "a name with spaces": (
        "receivers: [{name: my ops, type: log}]",
        (
            "2: receivers[0].name: must be letters, digits, `.`, `_` and `-`,"
            " at most 64, the first a letter or digit"
        ),
    ),
    "a receiver's name used twice": (
        "receivers:\n  - {name: ops, type: log}\n  - {name: ops, type: log}",
        "4: receivers[1].name: receivers[0] has the same name; a receiver needs its own",
    ),
    "a route to nobody": ("routes: [{to: []}]", "2: routes[0].to: must have 1 or more entries"),
    "a route to a stranger": (
        f"receivers: [{SLACK}]\nroutes:\n  - to:\n      - ops\n      - opps",
        "6: routes[0].to[1]: no receiver is called 'opps'; did you mean ops?",
    ),
    "a fallback to a stranger": ("fallback: ops", "2: fallback: no receiver is called 'ops'"),
    "a fallback that looks like a secret": ("fallback: xox=1234", "2: fallback: names no receiver"),
    "a time zone of no place": (
        "timezone: Europe/Berln",
        (
            "2: timezone: must be a time zone such as UTC or Europe/Berlin, not 'Europe/Berln';"
            " did you mean Europe/Berlin?"
        ),
    ),
    "a time zone from a variable": (
        "timezone: ${TEXT}",
        "2: timezone: must be a time zone such as UTC or Europe/Berlin",
    ),
    "a time zone that is a folder": ("timezone: Europe", "2: timezone: must be a time zone"),
    "a receiver's time zone": (
        "receivers: [{name: ops, type: log, timezone: Mars}]",
        "2: receivers[0].timezone: must be a time zone",
    ),
    "polls that break the limit": (
        "poll: {every: 1s}\nlinked_api: {requests_per_minute: 30}",
        (
            "2: poll.every: 1s is too often for 30 requests a minute"
            " (linked_api.requests_per_minute); the shortest is 2s"
        ),
    ),
    "a token sent in clear": (
        "linked_api: {base_url: 'http://api.example.com'}",
        "2: linked_api.base_url: must start with https://: over http:// the token would travel",
    ),
    "no address at all": (
        "linked_api: {base_url: 'http://['}",
        "2: linked_api.base_url: must ",
    ),
    "a link sent in clear": (
        "reconnection:\n  link_origins:\n    - http://app.example.com",
        "4: reconnection.link_origins[0]: must start with https://: over http:// the login",
    ),
    "an address that is none": (
        "web: {listen: 80}",
        "2: web.listen: must be text: put it in quotes",
    ),
    "a secret beside its file": (
        "web:\n  metrics_token: a\n  metrics_token_file: b",
        "4: web.metrics_token_file: stands beside metrics_token; keep one of them",
    ),
    "a misspelt secret's file": (
        "receivers:\n  - {name: ops, type: slack, url: 'https://a', urls_fil: x}",
        "3: receivers[0].urls_fil: unknown key; did you mean url_file?",
    ),
    "a secret of a receiver in two places": (
        "receivers:\n  - {name: ops, type: slack, url: 'https://a', url_file: b}",
        "3: receivers[0].url_file: stands beside url; keep one of them",
    ),
    "a secret of a receiver in neither": (
        "receivers:\n  - {name: ops, type: slack}",
        "3: receivers[0]: needs url or url_file",
    ),
    "a secret of a receiver in an absent file": (
        "receivers:\n  - {name: ops, type: slack, url_file: absent}",
        "3: receivers[0].url_file: the file cannot be read: No such file or directory",
    ),
    "a secret of a receiver in no path": (
        "receivers:\n  - {name: ops, type: slack, url_file: [absent]}",
        "3: receivers[0].url_file: must be the path of a file",
    ),
    "a username without a password": (
        "receivers:\n  - {name: a, type: email, host: b, from: a@b, to: [a@b], username: c}",
        "3: receivers[0]: needs password or password_file",
    ),
    "a password without a username": (
        "receivers:\n  - {name: a, type: email, host: b, from: a@b, to: [a@b], password: c}",
        "3: receivers[0]: has a password but no username",
    ),
    "a secret's file that is absent": (
        "web: {metrics_token_file: absent}",
        "2: web.metrics_token_file: the file cannot be read: No such file or directory",
    ),
    "a secret's file that is no path": (
        "web: {metrics_token_file: [a]}",
        "2: web.metrics_token_file: must be the path of a file",
    ),
    "a secret's impossible file": (
        'web: {metrics_token_file: "a\\0b"}',
        "2: web.metrics_token_file: the file cannot be read: not a path",
    ),
    "an unset variable": (
        "web:\n  metrics_token: ${HUSH}",
        "3: web.metrics_token: the environment variable HUSH is not set",
    ),
    "an unset variable in a list": (
        "receivers: [{name: ops, type: log}]\nroutes: [{to: [ops, '${OPS}']}]",
        "3: routes[0].to[1]: the environment variable OPS is not set",
    ),
    "an unset variable on the top level": (
        "timezone: ${ZONE}",
        "2: timezone: the environment variable ZONE is not set",
    ),
    "a variable of another encoding": (
        "timezone: ${BYTES}",
        "2: timezone: the environment variable BYTES is not UTF-8 text",
    ),
    "a brace without a name": (
        "timezone: ${}",
        "2: timezone: write ${NAME} for a variable, $${ for the text ${",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_once_with_its_line(problems_of, text, expected):
    found = problems_of(WORKSPACE + text, BYTES="\udcff", TEXT="Zürich")

    assert len(found) == 1, found
    assert found[0].startswith(expected)


WRONG_WORKSPACES = {
    "neither token nor file": (
        "workspaces:\n  - name: a",
        "2: workspaces[0]: needs a token or a token_file",
    ),
    "a token and a file": (
        "workspaces:\n  - name: a\n    token: b\n    token_file: c",
        "2: workspaces[0]: has both a token and a token_file; keep one",
    ),
    "an empty token": ("workspaces: [{token: ''}]", "1: workspaces[0].token: is empty"),
    "a token of digits": (
        "workspaces: [{token: 123456}]",
        "1: workspaces[0].token: must be text: put it in quotes",
    ),
    "a token with a space": (
        "workspaces:\n  - token: my secret",
        "2: workspaces[0].token: the token holds spaces, control or non-ASCII characters",
    ),
    "no token in its file": (
        "workspaces: [{token_file: /absent/token}]",
        "1: workspaces[0].token_file: the token file /absent/token cannot be read",
    ),
    "two of a name": (
        "workspaces:\n  - {name: a, token: b}\n  - {name: a, token: c}",
        "3: workspaces[1].name: workspaces[0] has the same name; a workspace needs its own",
    ),
    "two without a name": (
        "workspaces:\n  - {token: b}\n  - {token: c}",
        "3: workspaces[1].name: workspaces[0] has the same name; a workspace needs its own",
    ),
    "polls of its own that break the limit": (
        "linked_api: {requests_per_minute: 1}\nworkspaces:\n  - token: a\n    poll: {every: 30s}",
        "4: workspaces[0].poll.every: 30s is too often for 1 requests a minute",
    ),
    "a label that is a number": (
        "workspaces:\n  - token: a\n    labels:\n      tier: 1",
        "4: workspaces[0].labels.tier: must be text: put it in quotes",
    ),
    "none at all": ("workspaces: []", "1: workspaces: is missing; list one with its token"),
    "a file without any": ("timezone: UTC", "workspaces: is missing; list one with its token"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG_WORKSPACES.values(), ids=WRONG_WORKSPACES)
def test_what_is_wrong_with_a_workspace_is_said_once_with_its_line(problems_of, text, expected):
    found = problems_of(text)

    assert len(found) == 1, found
    assert found[0].removeprefix(": ").startswith(expected)


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_lines(problems_of):
    found = problems_of(
        """workspaces:
  - {name: acme, token: abc, lables: {}}
poll: {every: 10}
receivers:
  - {name: ops, type: slak}
  - {name: ops, type: slack}
routes:
  - to: [opps]
timezone: Mars
storage: {url: ${NOWHERE}}
"""
    )

    assert [line.partition(": ")[0] for line in found] == ["2", "3", "5", "6", "6", "8", "9", "10"]


def test_every_secret_that_is_missing_is_said(problems_of):
    assert problems_of(WORKSPACE + "receivers:\n  - {name: crm, type: webhook, url: null}") == [
        "3: receivers[0]: needs url or url_file",
        "3: receivers[0]: needs secret or secret_file",
    ]


def test_a_long_list_of_problems_is_cut(load_text):
    with pytest.raises(ConfigError) as caught:
        load_text(WORKSPACE + "".join(f"zz{number}: 1\n" for number in range(60)))

    assert len(caught.value.problems) == 60
    assert str(caught.value).endswith("\nand 10 more")
    assert len(str(caught.value).splitlines()) == 51


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"x" * 65537, "the file is larger than 64 KiB"),
    ],
)
def test_a_file_without_a_secret_is_refused(problems_of, tmp_path, content, reason):
    (tmp_path / "secret").write_bytes(content)

    found = problems_of(WORKSPACE + "web: {metrics_token_file: secret}")

    assert found == [f"2: web.metrics_token_file: {reason}"]


OWNERS = "receivers: [{name: own, type: email, host: h, from: a@example.com, to: %s}]\n"

WRONG_OWNERS = {
    "a former name that is still in use": (
        "workspaces:\n  - {name: a, token: x}\n  - {name: b, token: y, renamed_from: a}",
        ["3: workspaces[1].renamed_from: a is still the name of a workspace"],
    ),
    "a former name that is the name": (
        "workspaces: [{name: a, token: x, renamed_from: a}]",
        ["1: workspaces[0].renamed_from: a is still the name of a workspace"],
    ),
    "a former name that is the name of one without a name": (
        "workspaces:\n  - {token: x}\n  - {name: b, token: y, renamed_from: default}",
        ["3: workspaces[1].renamed_from: default is still the name of a workspace"],
    ),
    "a former name of two": (
        (
            "workspaces:\n  - {name: a, token: x, renamed_from: o}"
            "\n  - {name: b, token: y, renamed_from: o}"
        ),
        ["3: workspaces[1].renamed_from: is the former name of workspaces[0] as well"],
    ),
    "two rhythms": (
        WORKSPACE + "poll:\n  every: 1m\n  cron: '* * * * *'",
        ["2: poll: has both every and cron; keep one"],
    ),
    "two rhythms of a workspace": (
        "workspaces: [{token: x, poll: {every: 1m, cron: '* * * * *'}}]",
        ["1: workspaces[0].poll: has both every and cron; keep one"],
    ),
    "a crontab with a wrong field": (
        WORKSPACE + "poll:\n  cron: '0 25 * * *'",
        [
            (
                '3: poll.cron: must be five fields such as "*/5 8-20 * * mon-fri";'
                " the hour '25' cannot be read"
            )
        ],
    ),
    "a crontab that never comes": (
        WORKSPACE + "poll: {cron: '0 0 31 4 *'}",
        ["2: poll.cron: must come up some day: there is no such date"],
    ),
    "an unknown time zone of a crontab": (
        WORKSPACE + "poll: {cron: '* * * * *', timezone: Berlin}",
        ["2: poll.timezone: must be a time zone such as UTC or Europe/Berlin, not 'Berlin'"],
    ),
    "a misspelt label key": (
        WORKSPACE + OWNERS % "{lable: owner}",
        [
            "2: receivers[0].to.label: is missing",
            "2: receivers[0].to.lable: unknown key; did you mean label?",
        ],
    ),
    "an empty label": (
        WORKSPACE + OWNERS % "{label: ''}",
        ["2: receivers[0].to.label: must have 1 or more characters"],
    ),
    "a number for a label": (
        WORKSPACE + OWNERS % "{label: 5}",
        ["2: receivers[0].to.label: must be text: put it in quotes"],
    ),
    "nobody to write to": (
        WORKSPACE + OWNERS % "{}",
        ["2: receivers[0].to.label: is missing"],
    ),
    "an address that is none": (
        WORKSPACE + OWNERS % "[ops]",
        ["2: receivers[0].to: must be an address such as ops@example.com or Ops <ops@example.com>"],
    ),
    "labels that are no addresses": (
        "workspaces:\n  - {token: a, labels: {owner: jane}}\n"
        + OWNERS % "{label: owner}"
        + "accounts:\n  - labels:\n      team: growth\n      owner: joe",
        [
            (
                "2: workspaces[0].labels.owner: must be an address such as ops@example.com"
                " or Ops <ops@example.com>: receivers[0] writes to it"
            ),
            (
                "7: accounts[0].labels.owner: must be an address such as ops@example.com"
                " or Ops <ops@example.com>: receivers[0] writes to it"
            ),
        ],
    ),
    "a fallback without an address of its own": (
        WORKSPACE
        + OWNERS % "{label: owner}"
        + "accounts: [{labels: {owner: jane@example.com}}]\nfallback: own",
        ["4: fallback: own has no address of its own; name one that has"],
    ),
    "a misspelt section, and nothing of what follows from it": (
        WORKSPACE + "recievers: [{name: ops, type: log}]\nroutes: [{to: ops}]\nfallback: ops",
        ["2: recievers: unknown key; did you mean receivers?"],
    ),
    "an entry of accounts that says nothing": (
        WORKSPACE
        + "accounts:\n  - {match: {name: x}}\n  - {}\n  - {ignore: true}"
        + "\n  - {match: {name: []}, ignore: true}",
        [
            "3: accounts[0]: needs labels, or ignore: true",
            "4: accounts[1]: needs labels, or ignore: true",
            "5: accounts[2]: would ignore every account; say in match which ones",
            "6: accounts[3]: would ignore every account; say in match which ones",
        ],
    ),
    "wrong parts of an entry of accounts": (
        WORKSPACE
        + "accounts:\n  - {match: {nme: x}, ignore: true}\n  - {ignore: maybe}"
        + "\n  - {labels: {tier: 1}}\n  - jane",
        [
            "3: accounts[0].match.nme: unknown key; did you mean name?",
            "4: accounts[1].ignore: must be true or false",
            "5: accounts[2].labels.tier: must be text: put it in quotes",
            "6: accounts[3]: must hold keys and values",
        ],
    ),
    "accounts that are a map": (
        WORKSPACE + "accounts: {match: {}}",
        ["2: accounts: must be a list; start each entry with `- `"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG_OWNERS.values(), ids=WRONG_OWNERS)
def test_what_is_wrong_with_owners_names_and_rhythms_is_said_with_its_line(
    problems_of, text, expected
):
    assert problems_of(text) == expected

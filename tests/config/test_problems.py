"""What is said of a file that is wrong, to the letter: `__snapshots__/test_problems.ambr`."""

import pytest

from .conftest import WORKSPACE

OPS = "receivers: [{name: ops, type: log}]\n"
SLACK = "receivers:\n  - {name: ops, type: slack%s}"
MAIL = "{name: own, type: email, host: h, from: a@example.com, to: %s}"
LABEL = MAIL % "{label: owner}"
TWO = "workspaces:\n  - {token: x%s}\n  - {name: b, token: y%s}"
LABELLED = """workspaces:
  - {token: a, labels: {owner: jane}}
receivers: [%s]
accounts:
  - labels:
      team: growth
      owner: joe"""
ACCOUNTS = """accounts:
  - {match: {name: x}}
  - {}
  - {ignore: true}
  - {match: {name: []}, ignore: true}
  - {match: {nme: x}, ignore: true}
  - {ignore: maybe}
  - {labels: {tier: 1}}
  - jane"""
MANY = """workspaces:
  - {name: acme, token: abc, lables: {}}
poll: {every: 10}
receivers:
  - {name: ops, type: slak}
  - {name: ops, type: slack}
routes:
  - to: [opps]
timezone: Mars
storage: {url: ${NOWHERE}}"""

WRONG = {
    "much at once": MANY,
    "much before the end": "a: ${UNSET}\na: 2\nb: [\n",
    # sections, keys and values
    "a misspelt section": "recievers: []",
    "the private side of the value": "warnings: []",
    "a map where a list belongs": "receivers: {}",
    "a misspelt key": "poll: {evry: 1m}",
    "a misspelt key of a dataclass": "incidents:\n  flapping: {change: 3}",
    "a key like no other": "zzz: 1",
    "a key that may be a secret": "xoxb-1234567890=: 1",
    "a key written twice": "poll:\n  every: 1m\n  every: 2m",
    "a section that is a word": "poll: often",
    "a policy that is a word": "incidents: 5",
    "an item that is a word": "routes: [ops]",
    "a receiver that is a word": "receivers: [ops]",
    "a word that is a section": "timezone: {}",
    "a number for text": "timezone: 5",
    "a number for a duration": "poll: {every: 60}",
    "text for a number": "incidents: {open_after: soon}",
    "a fraction": "incidents: {open_after: 1.5}",
    "infinity": "incidents: {open_after: .inf}",
    "a number out of range": "linked_api: {requests_per_minute: 101}",
    "text for a truth": "metrics: {account_names: maybe}",
    "a word that is no choice": "log: {format: jsn}",
    "one of many words": OPS + "routes:\n  - to: ops\n    match: {cause: frozne}",
    "a number for a word": "log: {format: 5}",
    "what a part says of a key of its own": "incidents:\n  open_after: 1\n  remind_max: -1",
    "what a part says of an item": "incidents:\n  remind:\n    - 1h\n    - often",
    "more than is kept": "storage: {keep: 8d}\nincidents: {recurring: {within: 9d}}",
    "what is on or off in its own way": "subscription: true",
    "a key of what may be off": "subscription: {evry: 5m}",
    "a value of what may be off": "subscription: {every: 5s}",
    "a missing key": "receivers:\n\n  - {type: log}",
    "an address that is a number": "web: {listen: 80}",
    "a host with its port": "web: {hosts: ['localhost:80']}",
    "a token that can be guessed": "web: {metrics_token: fifteen-letters}",
    # variables
    "an unset variable": "web:\n  metrics_token: ${HUSH}",
    "an unset variable in a list": OPS + "routes: [{to: [ops, '${OPS}']}]",
    "a variable of another encoding": "timezone: ${BYTES}",
    "a brace without a name": "timezone: ${}",
    # time
    "polls within a second": "poll: {every: 999ms}",
    "polls that break the limit": "poll: {every: 1s}\nlinked_api: {requests_per_minute: 30}",
    "polls of its own that break the limit": (
        "linked_api: {requests_per_minute: 1}\nworkspaces:\n  - token: a\n    poll: {every: 30s}"
    ),
    "what is as good as never": (
        "incidents: {remind: [999999999d], blind_after: 2d, group_over: 1001}\n"
        "poll: {every: 8d, jitter: 2h}\ndelivery: {deadline: 31d}\nstorage: {keep: 6d}\n"
        "reconnection: {cooldown: 31d}\nlinked_api: {timeout: 6m, max_accounts: 0}"
    ),
    "reminders that never come": "incidents: {remind: [366d]}",
    "more labels than a message has room for": (
        "accounts: [{labels: {" + ", ".join(f"k{n}: v" for n in range(51)) + "}}]"
    ),
    "a text over several lines": 'accounts:\n  - labels: {owner: "jane\\ndoe"}',
    "a text without an end": "accounts: [{labels: {owner: " + "x" * 8193 + "}}]",
    "two rhythms": "poll:\n  every: 1m\n  cron: '* * * * *'",
    "two rhythms of a workspace": "workspaces: [{token: x, poll: {every: 1m, cron: '* * * * *'}}]",
    "a crontab with a wrong field": "poll:\n  cron: '0 25 * * *'",
    "a crontab that never comes": "poll: {cron: '0 0 31 4 *'}",
    "a time zone of no place": "timezone: Europe/Berln",
    "a time zone of no word": "timezone: ''",
    "a time zone from a variable": "timezone: ${TEXT}",
    "a time zone that is a folder": "timezone: Europe",
    "a time zone that is a file": "timezone: ../etc/passwd",
    "a receiver's time zone": "receivers: [{name: ops, type: log, timezone: Mars}]",
    "a crontab's time zone": "poll: {cron: '* * * * *', timezone: Mars/Olympus}",
    # workspaces and the API
    "no workspaces": "workspaces: []",
    "neither token nor file": "workspaces:\n  - name: a",
    "a token and a file": "workspaces:\n  - name: a\n    token: b\n    token_file: c",
    "an empty token": "workspaces: [{token: ''}]",
    "a token of digits": "workspaces: [{token: 123456}]",
    "a token with a space": "workspaces:\n  - token: my secret",
    "no token in its file": "workspaces: [{token_file: /absent/token}]",
    "two of a name": TWO % (", name: b", ""),
    "two without a name": "workspaces:\n  - {token: b}\n  - {token: c}",
    "a former name that is still in use": TWO % (", name: a", ", renamed_from: a"),
    "a former name that is the name": "workspaces: [{name: a, token: x, renamed_from: a}]",
    "a former name that is the name of one without a name": TWO % ("", ", renamed_from: default"),
    "a former name of two": TWO % (", name: a, renamed_from: o", ", renamed_from: o"),
    "no address at all": "linked_api: {base_url: 'http://['}",
    "a token sent in clear": "linked_api: {base_url: 'http://api.example.com'}",
    "a link sent in clear": "reconnection:\n  link_origins:\n    - http://app.example.com",
    # receivers and routes
    "an unknown type": "receivers: [{name: ops, type: slak}]",
    "a type that is no word": "receivers: [{name: ops, type: [1]}]",
    "no type": "receivers:\n  - name: ops",
    "a name with spaces": "receivers: [{name: my ops, type: log}]",
    "a receiver's name used twice": (
        "receivers:\n  - {name: ops, type: log}\n  - {name: ops, type: log}"
    ),
    "a username without a password": f"receivers:\n  - {MAIL % '[a@b], username: c'}",
    "a password without a username": f"receivers:\n  - {MAIL % '[a@b], password: c'}",
    "an address that is none": f"receivers: [{MAIL % '[ops]'}]",
    "an empty label": f"receivers: [{MAIL}]" % "{label: ''}",
    "a number for a label": f"receivers: [{MAIL}]" % "{label: 5}",
    "a misspelt label": f"receivers: [{MAIL}]" % "{lable: owner}",
    "nobody to write to": f"receivers: [{MAIL}]" % "{}",
    "labels that are no addresses": LABELLED % LABEL,
    "a label that is no member of Slack": LABELLED
    % "{name: own, type: slack, url: 'https://x.example', mention: {label: owner}}",
    "names of several lines or with an address": "name: 'a\u2028b'\ntitle_prefix: see evil.example",
    "a page for billing that goes in clear": "linked_api: {billing_url: 'http://x.example'}",
    "a page for billing with a login": "linked_api: {billing_url: 'https://me:pw@x.example'}",
    "routes without end": OPS + "routes: [" + "{to: ops}, " * 1001 + "]",
    "a route to nobody": "routes: [{to: []}]",
    "a route to a stranger": OPS + "routes:\n  - to:\n      - ops\n      - opps",
    "a fallback to a stranger": "fallback: ops",
    "a fallback that looks like a secret": "fallback: xox=1234",
    "a fallback without an address of its own": (
        f"receivers: [{LABEL}]\naccounts: [{{labels: {{owner: jane@example.com}}}}]\nfallback: own"
    ),
    "a misspelt section, and nothing of what follows from it": (
        "recievers: [{name: ops, type: log}]\nroutes: [{to: ops}]\nfallback: ops"
    ),
    "owners that own nothing": ACCOUNTS,
    # secrets in files
    "a secret beside its file": "web:\n  metrics_token: abcdefghijklmnop\n  metrics_token_file: b",
    "a list as the value of a label": "workspaces: [{token: abc, labels: {team: growth}}]\n"
    "receivers: [{name: ops, type: log}]\n"
    "routes: [{match: {labels: {team: [growth]}}, to: ops}]",
    "a misspelt secret's file": SLACK % ", url: 'https://a', urls_fil: x",
    "a secret of a receiver in two places": SLACK % ", url: 'https://a', url_file: b",
    "a secret of a receiver in neither": SLACK % "",
    "secrets of a receiver in neither": "receivers:\n  - {name: crm, type: webhook, url: null}",
    "a secret's file that is absent": SLACK % ", url_file: absent",
    "a secret's file that is no path": "web: {metrics_token_file: [a]}",
    "a secret's impossible file": 'web: {metrics_token_file: "a\\0b"}',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_line(problems_of, text, snapshot):
    """A text without workspaces gets one, in a line before it."""
    whole = text if "workspaces:" in text else WORKSPACE + text

    assert problems_of(whole, BYTES="\udcff", TEXT="Zürich") == snapshot


BAD = {
    "two documents": "a: 1\n---\nb: 2\n",
    "a list": "- a\n",
    "a word": "hello",
    "a tab": "a:\n\tb: 1\n",
    "two colons": "a: b: c\n",
    "an open list": "a: [1,\n\nb\n",
    "an open quote": "a: 'x\n",
    "a merge key": "a: &x {}\nb:\n  <<: *x\n",
    "a tag": "a: !secret x\n",
    "a tagged list": "a: !!set {}\n",
    "a list as key": "? [a]\n: b\n",
    "an alias as key": "a: &x b\n*x : c\n",
    "an alias to nothing": "a: *hunter2\n",
    "an alias to itself": "a: &x\n  - *x\n",
    "a control character": "a: 1\nb: \x01\n",
    "depth": "a: " + "[" * 40 + "]" * 40,
    "depth by aliases": "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20,
    "text that begins with a star": "cron: */5 * * * *\n",
    "bottomless depth": "a: " + "[" * 1_000_000,
    "bottomless indentation": "- " * 100_000,
    "another encoding": b"a: 1\nb: \xe9\n",
    "an encoding of pairs": "a: 1".encode("utf-16"),
    "no workspaces": "timezone: UTC",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_document_that_cannot_be_used_is_one_clear_line(problems_of, text, snapshot):
    (problem,) = problems_of(text)

    assert problem == snapshot


GROWTH = "workspaces: [{token: abc, labels: {team: growth}}]\n"
ONE = GROWTH + "receivers: [%s]\n"
ROUTES = GROWTH + OPS + "routes: "
HOSTS = ("http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1")
HERE = WORKSPACE + "linked_api: {base_url: '%s'}\nreconnection: {link_origins: ['%s']}"
FITS = {
    **{url: HERE % (url, url) for url in HOSTS},
    "all to one": ROUTES + "[{to: ops}]",
    "some and all": ROUTES + "[{to: ops, continue: true}, {match: {cause: frozen}, to: ops}]",
    "a label and all": ROUTES + "[{match: {labels: {team: growth}}, to: ops}, {to: ops}]",
    "some, and a fallback": ROUTES + "[{match: {cause: frozen}, to: ops}]\nfallback: ops",
    "a fallback that no route names": GROWTH
    + "receivers: [{name: a, type: log}, {name: b, type: log}]\nroutes: [{to: [a]}]\nfallback: b",
    "no routes": GROWTH + "receivers: [{name: a, type: log}, {name: b, type: log}]\nfallback: b",
    "an owner": ONE % LABEL + "accounts: [{labels: {owner: jane@example.com}}]",
    "an owner by id": ONE % LABEL
    + "accounts: [{match: {id: a-1, name: 'J*'}, labels: {owner: jane@example.com}}]",
    "a proxy without a password": WORKSPACE + "linked_api: {proxy: 'http://proxy:3128'}",
    "a proxy by TLS": WORKSPACE + "linked_api: {proxy: 'https://me:pw@proxy:3128'}",
    "a proxy on this machine": WORKSPACE + "linked_api: {proxy: 'http://me:pw@127.0.0.1:3128'}",
    "a database on this machine": WORKSPACE + "storage: {url: 'postgresql://me:p@[::1]:1/m'}",
    "a database on a socket": WORKSPACE + "storage: {url: 'postgresql:///m?host=/run/pg'}",
    "a database by TLS": WORKSPACE + "storage: {url: 'postgresql://me:p@db/m?sslmode=require'}",
    "metrics for this machine": WORKSPACE + "web: {listen: 'localhost:1'}",
    "metrics for who has the token": WORKSPACE
    + "web: {listen: '0.0.0.0:1', metrics_token: abcdefghijklmnop}",
    "no owner by name": ONE % "" + "accounts: [{match: {name: 'J*'}, labels: {owner: jane}}]",
}
ODD = {
    "some to nobody": ROUTES + "[{match: {cause: frozen}, to: ops}]",
    "some after all": ROUTES + "[{match: {}, to: ops}, {match: {cause: frozen}, to: ops}]",
    "a misspelt value": ROUTES + "[{match: {labels: {team: growht}}, to: ops}, {to: ops}]",
    "a misspelt label": ROUTES + "[{match: {labels: {taem: growth}}, to: ops}, {to: ops}]",
    "receivers that nobody names": GROWTH
    + """receivers:
  - {name: a, type: log}
  - {name: b, type: log}
  - {name: c, type: log}
  - {name: d, type: log}
routes: [{match: {cause: frozen}, to: [a]}, {to: c}]
fallback: d""",
    "misspelt workspaces": ROUTES
    + """
  - {match: {workspace: defalt}, to: ops}
  - {match: {workspace: [default, "b*"]}, to: ops}
  - {match: {workspace: ${TEXT}}, to: ops}
  - {to: ops}""",
    "metrics for everybody": WORKSPACE + "web: {listen: '[::]:9464'}",
    "a proxy's password in clear": WORKSPACE
    + "linked_api: {proxy: 'http://me:pw@proxy.example.com:3128'}",
    "a database in clear": WORKSPACE + "storage: {url: 'postgresql://me:pw@db.example.com/m'}",
    "a database that may end in clear": WORKSPACE
    + "storage: {url: 'postgresql:///m?host=/run/pg&host=10.0.0.5&sslmode=prefer'}",
    "no label": ONE % LABEL,
    "a secret that can be guessed": ONE
    % "{name: w, type: webhook, url: 'https://a', secret: whsec_c2l4dGVlbiBsZXR0ZXJzIQ==}",
    "another label": ONE % LABEL + "accounts: [{labels: {team: x}}]",
    "misspelt workspaces of owners": ONE % ""
    + "accounts:\n  - match: {workspace: [defalt, 'x*']}\n    ignore: true",
    "owners and ignore by names": ONE % LABEL
    + """accounts:
  - {match: {name: "J*"}, labels: {team: x, owner: jane@example.com}}
  - {match: {id: "*", url: linkedin.com/in/x}, ignore: true}""",
}


@pytest.mark.parametrize("text", FITS.values(), ids=FITS)
def test_what_fits_together_is_not_warned_of(warnings_of, text):
    assert warnings_of(text) == []


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_nobody_hears_and_what_matches_nothing_is_worth_a_warning(warnings_of, text, snapshot):
    assert warnings_of(text, TEXT="elsewhere") == snapshot


@pytest.mark.odd_input("token used twice")
def test_a_token_used_twice_is_worth_a_warning(warnings_of, tmp_path):
    (tmp_path / "token").write_text("abc\n")

    assert warnings_of(
        "workspaces:\n  - {name: a, token: abc}\n  - name: b\n    token_file: token\n"
    ) == ["4: workspaces[1].token_file: is the token of workspaces[0] as well"]

import pytest

from .conftest import WORKSPACE

SLACK = "{name: ops, type: slack, url: 'https://hooks.slack.com/services/x'}"
OWNERS = "receivers: [{name: own, type: email, host: h, from: a@example.com, to: {label: owner}}]\n"

WRONG = {
    "a receiver's name used twice": (
        "receivers:\n  - {name: ops, type: log}\n  - {name: ops, type: log}",
        "4: receivers[1].name: receivers[0] has the same name; a receiver needs its own",
    ),
    "a route to a stranger": (
        f"receivers: [{SLACK}]\nroutes:\n  - to:\n      - ops\n      - opps",
        "6: routes[0].to[1]: no receiver is called 'opps'; did you mean ops?",
    ),
    "a fallback to a stranger": ("fallback: ops", "2: fallback: no receiver is called 'ops'"),
    "a fallback that looks like a secret": ("fallback: xox=1234", "2: fallback: names no receiver"),
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
    "a link sent in clear": (
        "reconnection:\n  link_origins:\n    - http://app.example.com",
        "4: reconnection.link_origins[0]: must start with https://: over http:// the login",
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
    "a token with a space": (
        "workspaces:\n  - token: my secret",
        "2: workspaces[0].token: the token holds spaces, control or non-ASCII characters",
    ),
    "no token in its file": (
        "workspaces: [{token_file: /absent/token}]",
        "1: workspaces[0].token_file: the token file /absent/token cannot be read",
    ),
    "a former name that is still in use": (
        "workspaces:\n  - {name: a, token: x}\n  - {name: b, token: y, renamed_from: a}",
        "3: workspaces[1].renamed_from: a is still the name of a workspace",
    ),
    "a former name that is the name": (
        "workspaces: [{name: a, token: x, renamed_from: a}]",
        "1: workspaces[0].renamed_from: a is still the name of a workspace",
    ),
    "a former name that is the name of one without a name": (
        "workspaces:\n  - {token: x}\n  - {name: b, token: y, renamed_from: default}",
        "3: workspaces[1].renamed_from: default is still the name of a workspace",
    ),
    "a former name of two": (
        (
            "workspaces:\n  - {name: a, token: x, renamed_from: o}"
            "\n  - {name: b, token: y, renamed_from: o}"
        ),
        "3: workspaces[1].renamed_from: is the former name of workspaces[0] as well",
    ),
    "a fallback without an address of its own": (
        OWNERS + "accounts: [{labels: {owner: jane@example.com}}]\nfallback: own",
        "4: fallback: own has no address of its own; name one that has",
    ),
    "a misspelt section, and nothing of what follows from it": (
        "recievers: [{name: ops, type: log}]\nroutes: [{to: ops}]\nfallback: ops",
        "2: recievers: unknown key; did you mean receivers?",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_a_contradiction_is_reported_once_with_its_line(only_problem_of, text, expected):
    assert only_problem_of(text).startswith(expected)


def test_labels_that_are_no_addresses_are_reported_with_their_lines(problems_of):
    problem = "must be an address such as ops@example.com or Ops <ops@example.com>"

    assert problems_of(
        "workspaces:\n  - {token: a, labels: {owner: jane}}\n"
        + OWNERS
        + "accounts:\n  - labels:\n      team: growth\n      owner: joe"
    ) == [
        f"2: workspaces[0].labels.owner: {problem}: receivers[0] writes to it",
        f"7: accounts[0].labels.owner: {problem}: receivers[0] writes to it",
    ]


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"])
def test_this_very_host_may_be_spoken_to_in_clear(load_text, url):
    config = load_text(
        WORKSPACE + f'linked_api: {{base_url: "{url}"}}\nreconnection: {{link_origins: ["{url}"]}}'
    )

    assert config.linked_api.base_url == url


# ── warnings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "warns"),
    [
        ("", True),
        ("accounts: [{labels: {team: x}}]", True),
        ("accounts: [{labels: {owner: jane@example.com}}]", False),
    ],
)
def test_a_receiver_that_no_label_addresses_is_odd(warnings_of, more, warns):
    expected = (
        "2: receivers[0].to.label: will never hear anything:"
        " no workspace and no entry of accounts has the label owner"
    )

    assert warnings_of(WORKSPACE + OWNERS + more) == warns * [expected]


def test_owners_of_a_workspace_that_is_not_there_are_odd(warnings_of):
    assert warnings_of(
        WORKSPACE + "accounts:\n  - match: {workspace: [defalt, 'x*']}\n    ignore: true"
    ) == ["3: accounts[0].match.workspace: no workspace is called 'defalt'; did you mean default?"]


def test_a_route_for_a_workspace_that_is_not_there_is_worth_a_warning(warnings_of):
    first, second, _ = warnings_of(
        """workspaces: [{name: acme, token: abc}]
receivers: [{name: ops, type: log}]
routes:
  - {match: {workspace: acne}, to: ops}
  - {match: {workspace: [acme, "b*"]}, to: ops}
  - {match: {workspace: ${NAME}}, to: ops}
""",
        NAME="elsewhere",
    )

    assert first == (
        "4: routes[0].match.workspace: no workspace is called 'acne'; did you mean acme?"
    )
    assert second == "6: routes[2].match.workspace: matches no workspace"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("[{to: ops}]", None),
        ("[{to: ops, continue: true}, {match: {cause: frozen}, to: ops}]", None),
        ("[{match: {labels: {team: growth}}, to: ops}, {to: ops}]", None),
        (
            "[{match: {cause: frozen}, to: ops}]",
            (
                "routes: nobody is told of what none of them matches; end with one without match,"
                " or name a fallback"
            ),
        ),
        ("[{match: {cause: frozen}, to: ops}]\nfallback: ops", None),
        (
            "[{match: {}, to: ops}, {match: {cause: frozen}, to: ops}]",
            "routes[1]: is never asked: routes[0] matches everything; put that one last",
        ),
        (
            "[{match: {labels: {team: growht}}, to: ops}, {to: ops}]",
            "routes[0].match.labels.team: matches nothing: no label has this value",
        ),
        (
            "[{match: {labels: {taem: growth}}, to: ops}, {to: ops}]",
            (
                "routes[0].match.labels.taem: matches nothing: no workspace and no entry of"
                " accounts has the label taem; did you mean team?"
            ),
        ),
    ],
)
def test_routes_that_hear_nothing_and_events_that_nobody_hears_are_odd(
    warnings_of, routes, expected
):
    warnings = warnings_of(
        "workspaces: [{token: abc, labels: {team: growth}}]\n"
        f"receivers: [{{name: ops, type: log}}]\nroutes: {routes}\n"
    )

    assert warnings == ([f"3: {expected}"] if expected else [])


@pytest.mark.odd_input("token used twice")
def test_a_token_used_twice_is_worth_a_warning(warnings_of, tmp_path):
    (tmp_path / "token").write_text("abc\n")

    assert warnings_of(
        "workspaces:\n  - {name: a, token: abc}\n  - name: b\n    token_file: token\n"
    ) == ["4: workspaces[1].token_file: is the token of workspaces[0] as well"]

"""Answers and configurations made of parts that are right and parts that are odd.

FUZZ_EXAMPLES says how many of each; what holds of them is in targets.py.
"""

import json
import os
from ast import literal_eval
from pathlib import Path

import yaml
from fuzz.targets import ENVIRON, FILE, HUSH, ORIGIN, TOKEN, check_answer, check_config
from harness import payloads
from harness.placeholders import placeholders
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config import Config, load, show
from monitor.config.settings import Findings
from monitor.core.errors import ApiError
from monitor.core.model import Status
from monitor.core.secret import Secret
from monitor.source.decode import Decoder

LINK = f"{ORIGIN}/connection/hush"
PLAIN = "swordfish-is-written-down"

CORPUS = Path(__file__).parent / "corpus"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # that of libyaml is ten times as fast
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))

steady = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

words = st.text("abcdefgh-é漢🙂", min_size=1, max_size=12)
ids = st.uuids(version=4).map(str)
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([TOKEN, LINK, "active", "frozen", "\0", "\ud800", "x" * 6000, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def healthy(draw):
    """An account as the documentation has it."""
    status = draw(st.sampled_from(["active", "frozen", "reconnection_required"]))
    account = payloads.account(
        id=draw(ids),
        name=draw(words),
        url=draw(st.sampled_from([f"https://www.linkedin.com/in/{n}/" for n in "abc"])),
        avatarUrl=draw(st.none() | words),
        headline=draw(st.none() | words),
        status=status,
    )
    if status == "reconnection_required":
        account |= {"reconnectionSessionId": account["id"], "reconnectionLink": LINK}
    return account


@st.composite
def odd(draw):
    """An entry in which something is wrong, and whose id is nobody else's."""
    entry = draw(healthy()) | draw(st.dictionaries(st.text(max_size=8), odd_values, max_size=3))
    for key in draw(st.lists(st.sampled_from(sorted(entry)), max_size=3)):
        entry[key] = draw(odd_values)
    if draw(st.booleans()):
        entry.pop(draw(st.sampled_from(sorted(entry))))
    return draw(st.just(entry) | odd_values)


def encode(value):
    return json.dumps(value).encode()


@steady
@given(
    st.lists(healthy(), max_size=4, unique_by=lambda entry: entry["id"]),
    st.lists(odd(), max_size=6),
    st.data(),
)
def test_odd_entries_hide_no_valid_account(valid, strange, data):
    listed = data.draw(st.permutations(valid + strange))

    snapshot = check_answer(encode({"success": True, "result": {"accounts": listed}}))

    listed = {account.id: account for account in snapshot.accounts}
    for entry in valid:
        account = listed[entry["id"]]
        assert (account.name, account.url, account.country) == (entry["name"], entry["url"], "DE")
        assert account.status is Status(entry["status"])
        assert (account.session is not None) == (account.status is Status.RECONNECTION_REQUIRED)
        if account.session:
            assert account.session.link == Secret(LINK)


errors = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["invalidLinkedApiToken", "tooManyRequests", TOKEN]) | odd_values,
        "message": st.sampled_from([f"{TOKEN}!", f"see {LINK}", TOKEN[3:], TOKEN * 400])
        | st.lists(st.sampled_from([TOKEN, LINK, " ", "\r\n", "\x1b", "a"])).map("".join)
        | odd_values,
    },
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans() | odd_values,
        "error": errors | odd_values,
        "result": st.fixed_dictionaries({"accounts": st.lists(odd()) | odd_values}) | odd_values,
    },
)


@steady
@given(answers | odd_values)
def test_any_json_is_a_list_or_an_error_that_may_be_shown(value):
    check_answer(encode(value))


recurring = st.builds(lambda entry, id_: entry | {"id": id_}, healthy(), st.sampled_from("ab"))


@steady
@given(st.lists(st.lists(recurring | odd_values, max_size=3), max_size=4))
def test_what_was_read_before_makes_no_difference(lists):
    decoder = Decoder((ORIGIN,))

    for listed in lists:
        content = encode({"success": True, "result": {"accounts": listed}})
        assert outcome(decoder, content) == outcome(Decoder((ORIGIN,)), content)


def outcome(decoder, content):
    try:
        return decoder.decode(content)
    except ApiError as error:
        return error.cause, str(error)


@steady
@given(st.lists(healthy(), min_size=1, max_size=2), st.data())
def test_a_damaged_answer_is_a_list_or_an_error_that_may_be_shown(accounts, data):
    content = bytearray(encode({"success": True, "result": {"accounts": accounts}}))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        content[start:end] = data.draw(st.binary(max_size=4) | st.just(content[end:]))

    check_answer(bytes(content))


counts = st.integers(1, 50)
spans = st.builds("{}{}".format, st.integers(10, 90), st.sampled_from("smh"))
short = st.builds("{}s".format, st.integers(10, 90))
names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
hush = st.sampled_from(["${HUSH}", "${NOBODY:-" + PLAIN + "}", PLAIN])
zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])
labels = st.dictionaries(names, words, max_size=2)
CAUSES = ["frozen", "flapping", "unknown", "unreachable"]


def section(needed=None, **optional):
    return st.fixed_dictionaries(needed or {}, optional=optional)


receivers = st.one_of(
    section({"type": st.just("log")}, timezone=zones),
    section(
        {"type": st.just("slack"), "url": hush.map("https://hooks.slack.com/services/{}".format)},
        link=st.sampled_from(["full", "none"]),
    ),
    section(
        {
            "type": st.just("email"),
            "host": st.just("smtp.example.com"),
            "from": st.just("Monitor <m@example.com>"),
            "to": st.lists(st.just("ops@example.com"), min_size=1, max_size=3),
        },
        port=st.integers(1, 65535),
        tls=st.sampled_from(["starttls", "tls", "none"]),
    ),
)


@st.composite
def documents(draw):
    """A configuration in which everything is right."""
    workspaces = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    heard = draw(st.lists(names, max_size=3, unique=True))
    tree = {
        "workspaces": [
            {"name": name, "token": draw(hush)}
            | draw(section(labels=labels, poll=section(jitter=short)))
            for name in workspaces
        ],
        "receivers": [draw(receivers) | {"name": name} for name in heard],
    }
    tree |= draw(
        section(
            linked_api=section(timeout=short, requests_per_minute=st.just(60)),
            poll=section(every=spans, jitter=short),
            incidents=section(
                open_after=counts,
                resolve_after=counts,
                missing_many_after=st.integers(3, 50),
                blind_after=short,
                remind=st.lists(spans, max_size=3),
                flapping=section(changes=st.integers(2, 9), within=spans),
            ),
            reconnection=section(create=st.sampled_from(["never", "if_missing"]), cooldown=spans),
            delivery=section(deadline=spans),
            web=section(listen=st.just("127.0.0.1:0"), metrics_token=hush),
            metrics=section(per_account=st.sampled_from(["all", "none"])),
            log=section(level=st.sampled_from(["debug", "error"])),
            timezone=zones,
        )
    )
    if heard:
        match = section(
            cause=st.lists(st.sampled_from(CAUSES), max_size=2),
            account=words,
            labels=labels,
            scope=st.just("account"),
        )
        to = st.lists(st.sampled_from(heard), min_size=1, max_size=2)
        routes = st.lists(section({"to": to}, match=match), max_size=3)
        tree |= draw(section(routes=routes, fallback=st.sampled_from(heard)))
    return tree


def written(tree, **style):
    return yaml.dump(tree, Dumper=DUMPER, allow_unicode=True, **style).encode()


def as_json(config):
    """Write *config* as `config show --json` does: with all defaults, without secrets."""
    return config.model_dump_json(by_alias=True, exclude_none=True)


@settings(steady, max_examples=max(1, EXAMPLES // 2))  # each is loaded three times
@given(documents(), st.sampled_from([{}, {"default_flow_style": True}, {"sort_keys": False}]))
def test_what_is_right_is_accepted_and_comes_back_as_it_was(tree, style):
    config = check_config(written(tree, **style))

    assert isinstance(config, Config)
    assert [item.name for item in config.workspaces] == [
        item["name"] for item in tree["workspaces"]
    ]
    assert [item.name for item in config.receivers] == [item["name"] for item in tree["receivers"]]
    shown = f"{config!r} {config} {config.model_dump()} {as_json(config)}"
    assert HUSH not in shown
    assert PLAIN not in shown
    again = check_config(as_json(config).replace("*" * 10, "https://example.com/x").encode())
    assert as_json(again) == as_json(config)
    check_shown(config, written(tree, **style))


def check_shown(config, content):
    FILE.write_bytes(content)
    lines = show(FILE, ENVIRON)
    FILE.write_text(lines)
    again = load(FILE, ENVIRON | placeholders(lines, config))

    assert HUSH not in lines
    assert PLAIN not in lines
    assert again.with_findings(Findings()) == config.with_findings(Findings())


pieces = [literal_eval(line) for line in (CORPUS / "configs.dict").read_text().splitlines()]
texts = st.text() | st.lists(st.sampled_from([*"[]{},?%@\n\t\x85\ufeff", *pieces])).map("".join)


@steady
@given(texts)
def test_any_text_is_a_configuration_or_an_error_that_may_be_shown(text):
    check_config(text.encode(errors="surrogatepass"))


wrong_values = st.sampled_from(["${NOBODY}", "${", "", "a b", "9" * 50, 0, -1, 1.5, None, True])
wrong_values |= st.text(st.characters(blacklist_categories=["C"]), max_size=8)
wrong_values |= st.recursive(wrong_values, st.lists, max_leaves=3)


def places(tree, place=()):
    """Give every place within *tree*."""
    if place:
        yield place
    if isinstance(tree, dict | list):
        parts = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in parts:
            yield from places(value, (*place, key))


@steady
@given(documents(), st.data())
def test_what_is_wrong_is_said(tree, data):
    for _ in range(data.draw(st.integers(1, 3))):
        tree.setdefault("poll", {})
        *path, last = data.draw(st.sampled_from(list(places(tree))))
        parent = tree
        for step in path:
            parent = parent[step]
        match data.draw(st.sampled_from(["drop", "misspell", "wrap", "replace", "hush", "hush"])):
            case "drop":
                del parent[last]
            case "misspell" if isinstance(last, str):
                parent[last[:-1]] = parent.pop(last)
            case "wrap":
                parent[last] = [parent[last]]
            case "hush":
                parent[last] = data.draw(st.sampled_from(["${HUSH}", "x ${HUSH}", "${HUSH} 5m"]))
            case _:
                parent[last] = data.draw(wrong_values)

    assert PLAIN not in str(check_config(written(tree)))

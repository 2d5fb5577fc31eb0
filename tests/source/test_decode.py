"""What becomes of the answers of `accounts.getAll`."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source.payloads import ABSENT, LINK, ORIGINS, account, body, signed_out

from monitor.core.errors import ApiError
from monitor.core.model import Cause, Failure, ListedAccount, Session, Snapshot, Status
from monitor.core.secret import Secret
from monitor.source import wire
from monitor.source.decode import MAX_WARNING, MAX_WARNINGS, Decoder


def decode(content, origins=ORIGINS, decoder=None):
    try:
        return (decoder or Decoder(origins)).decode(content)
    except ApiError as error:
        return Failure(error.cause, str(error), error.retry_after)


def seen(*accounts, origins=ORIGINS):
    snapshot = decode(body(*accounts), origins)
    assert isinstance(snapshot, Snapshot)
    return snapshot


@pytest.mark.row(1)
def test_an_empty_list_is_a_snapshot_of_no_accounts():
    assert decode(body()) == Snapshot(())


def test_every_needed_field_is_read():
    snapshot = seen(account(3), signed_out(4))

    assert snapshot.warnings == ()
    assert snapshot.accounts == (
        ListedAccount(
            id="00000000-0000-0000-0000-000000000004",
            name="Person Number 3",
            url="https://www.linkedin.com/in/person-number-3/",
            country="DE",
            status=Status.ACTIVE,
            raw_status="active",
        ),
        ListedAccount(
            id="00000000-0000-0000-0000-000000000005",
            name="Person Number 4",
            url="https://www.linkedin.com/in/person-number-4/",
            country="DE",
            status=Status.RECONNECTION_REQUIRED,
            raw_status="reconnection_required",
            session=Session("session-4", Secret(f"{LINK}session-4")),
        ),
    )


@pytest.mark.row(3, 26)
@pytest.mark.parametrize(
    "content",
    [
        body(result=ABSENT),
        body(result=None),
        body(result={}),
        body(result=[]),
        body(result={"accounts": None}),
        body(result={"accounts": {}}),
        body(result={"accounts": "none"}),
        body(success="true"),
        body(success=1),
        body(success=None),
        body(success=ABSENT),
        b"[]",
        b"null",
        b"17",
        b"",
        b"  ",
        b"{",
        body(account())[:-9],
        body(account()) + b"x",
        b"<!doctype html><html><body>Maintenance</body></html>",
        b"[" * 200_000,
        '{"success":true}'.encode("utf-16"),
    ],
)
def test_an_answer_without_a_list_of_accounts_is_a_failed_poll(content):
    failure = decode(content)

    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail.startswith("Linked API")


@pytest.mark.row(4, 24)
@pytest.mark.parametrize("pending", [ABSENT, None, [], [{}], [{"status": "new"}], "odd"])
def test_pending_sessions_do_not_matter(pending):
    result = {"accounts": [account()], "pendingConnectionSessions": pending}
    if pending is ABSENT:
        del result["pendingConnectionSessions"]

    assert decode(body(result=result)) == seen(account())


@pytest.mark.row(5, 14)
@pytest.mark.parametrize(
    "changes",
    [
        {"avatarUrl": None, "headline": None},
        {"url": ABSENT, "avatarUrl": ABSENT, "headline": ABSENT},
        {"name": None, "url": None, "countryCode": None, "connectedAt": None},
        {"name": 5, "url": [], "countryCode": {}, "connectedAt": 1.5},
        {"connectedAt": "yesterday"},
        {"connectedAt": "2999-01-01T00:00:00+02:00"},
    ],
)
def test_missing_and_odd_details_hide_nothing(changes):
    snapshot = seen(account(0, **changes), account(1))

    assert [found.status for found in snapshot.accounts] == [Status.ACTIVE] * 2
    assert snapshot.accounts[1] == seen(account(1)).accounts[0]
    assert snapshot.warnings == ()


@pytest.mark.row(6)
@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (ABSENT, ""),
        (None, "null"),
        ("", ""),
        (5, "5"),
        (10**30, "1e+30"),
        (True, "true"),
        (["active"], "(a list)"),
        ({"is": "active"}, "(an object)"),
        ("ACTIVE", "ACTIVE"),
        (" active", " active"),
        ("reconnectionRequired", "reconnectionRequired"),
        ("suspended", "suspended"),
        ("x" * 5000, "x" * 64),
    ],
)
def test_a_status_we_do_not_know_is_unknown_and_never_healthy(status, raw):
    snapshot = seen(signed_out(0, status=status), account(1))

    odd, fine = snapshot.accounts
    assert (odd.status, odd.raw_status, odd.session) == (Status.UNKNOWN, raw, None)
    assert fine.status is Status.ACTIVE
    assert len(snapshot.warnings) == 1
    assert "unknown status" in snapshot.warnings[0]


@pytest.mark.row(6)
def test_one_new_word_on_many_accounts_is_one_warning():
    snapshot = seen(*(account(number, status="suspended") for number in range(50)))

    (warning,) = snapshot.warnings
    assert warning == (
        "unknown status 'suspended': 50 accounts, "
        "the first is '00000000-0000-0000-0000-000000000001'"
    )


@pytest.mark.row(7)
@pytest.mark.parametrize(
    ("session_id", "link", "expected"),
    [
        (ABSENT, ABSENT, None),
        (None, None, None),
        ("", "", None),
        ("s", ABSENT, Session("s", None)),
        (ABSENT, f"{LINK}s", Session(None, Secret(f"{LINK}s"))),
        (7, f"{LINK}s", Session(None, Secret(f"{LINK}s"))),
        ("s", 7, Session("s", None)),
        ("s" * 300, ABSENT, None),
        (f"{LINK}s", f"{LINK}s", Session(None, Secret(f"{LINK}s"))),
        (f"{LINK}s", ABSENT, None),
    ],
)
def test_a_login_may_be_needed_without_link_or_session(session_id, link, expected):
    found = signed_out(0, reconnectionSessionId=session_id, reconnectionLink=link)

    assert seen(found).accounts[0].session == expected


@pytest.mark.row(8)
@pytest.mark.parametrize("status", ["active", "frozen", "paused"])
def test_a_link_is_ignored_unless_a_login_is_needed(status):
    assert seen(signed_out(0, status=status)).accounts[0].session is None


UNSAFE = [
    "https://evil.example/connection/1",
    "http://app.linkedapi.io/connection/1",
    "https://app.linkedapi.io.evil.example/1",
    "https://app.linkedapi.io:8443/1",
    "https://app.linkedapi.io:x/1",
    "https://app.linkedapi.io@evil.example/1",
    "https://me:pass@app.linkedapi.io/1",
    "https://app.linkedapi.io\\@evil.example/1",
    "//app.linkedapi.io/1",
    "app.linkedapi.io/1",
    "https:///1",
    "javascript:alert(1)",
    "data:text/html,x",
    f"{LINK}a b",
    f"{LINK}a\nb",
    f"{LINK}a\r\nBcc: x",
    f"{LINK}a\tb",
    f"{LINK}<script>",
    f'{LINK}">',
    f"{LINK}|text",
    f"{LINK}`x`",
    f"{LINK}*x*",
    f"{LINK}[x](y)",
    f"{LINK}é",
    f"{LINK}\u202e",
    f"{LINK}\0",
    f" {LINK}1",
    LINK + "x" * 2000,
]


@pytest.mark.row(9)
@pytest.mark.parametrize("link", UNSAFE)
def test_a_link_that_is_not_safe_is_left_out_and_its_text_is_not_shown(link):
    snapshot = seen(signed_out(0, reconnectionLink=link))

    assert snapshot.accounts[0].session == Session("session-0", None)
    assert len(snapshot.warnings) == 1
    assert "link left out" in snapshot.warnings[0]
    assert link not in snapshot.warnings[0]


@pytest.mark.parametrize(
    ("origin", "link"),
    [
        ("https://app.linkedapi.io/", f"{LINK}1?a=b&c=d#e"),
        ("https://APP.linkedapi.io:443", f"{LINK}1"),
        ("https://app.linkedapi.io", "https://App.LinkedAPI.io:443/connection/1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/connection/1"),
    ],
)
def test_a_link_of_an_allowed_origin_is_kept(origin, link):
    snapshot = seen(signed_out(0, reconnectionLink=link), origins=(origin,))

    assert snapshot.accounts[0].session == Session("session-0", Secret(link))
    assert snapshot.warnings == ()


def test_origins_that_are_none_allow_nothing():
    snapshot = seen(signed_out(), origins=("", "nonsense", "ftp://x", "https://x:y"))

    assert snapshot.accounts[0].session == Session("session-0", None)


@pytest.mark.row(10)
@pytest.mark.parametrize(
    "bad", [ABSENT, None, "", "   ", 5, True, ["x"], {"a": 1}, "x" * 201, "a\0b", 10**40]
)
def test_an_entry_without_a_usable_id_is_left_out_with_a_warning(bad):
    snapshot = seen(account(0, id=bad), account(1))

    assert snapshot.accounts == seen(account(1)).accounts
    assert snapshot.warnings == ("left out for want of a usable id: 1 account",)


@pytest.mark.row(10)
@pytest.mark.parametrize("entry", [None, 5, "text", [], [account(0)]])
def test_an_entry_that_is_no_object_is_left_out_with_a_warning(entry):
    snapshot = seen(entry, account(1))

    assert snapshot.accounts == seen(account(1)).accounts
    assert snapshot.warnings == ("left out for want of a usable id: 1 account",)


@pytest.mark.row(10)
@pytest.mark.parametrize("odd", ["6F9619FF-8B86-D011-B42D-00CF4FC964FF", "häßlich <b>", "x" * 200])
def test_ids_are_opaque(odd):
    assert seen(account(0, id=odd)).accounts[0].id == odd


@pytest.mark.row(11)
@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (["active", "active"], Status.ACTIVE),
        (["active", "paused"], Status.UNKNOWN),
        (["paused", "frozen", "active"], Status.FROZEN),
        (["frozen", "reconnection_required"], Status.RECONNECTION_REQUIRED),
        (["reconnection_required", "frozen"], Status.RECONNECTION_REQUIRED),
    ],
)
def test_the_worst_status_of_an_id_that_comes_twice_counts(statuses, worst):
    content = body(*(account(0, status=status) for status in statuses), account(1))
    decoder = Decoder(ORIGINS)

    for _ in range(2):
        snapshot = decoder.decode(content)

        assert [found.status for found in snapshot.accounts] == [worst, Status.ACTIVE]
        assert sum("more than once" in warning for warning in snapshot.warnings) == 1


NAMES = [
    "🧑‍🚀",
    "\u202eevil",
    "e\u0301\u0301",
    "漢字",
    "a\u200bb",
    "a\nb",
    "",
    "<b>x</b>",
    "<!channel> <@U1> *x* `y`",
    "[x](y)",
    '"\\',
    "=1+1",
    "a\r\nBcc: x",
]


@pytest.mark.row(12)
@pytest.mark.parametrize("name", NAMES)
def test_names_stay_as_they_are_and_never_reach_a_warning(name):
    snapshot = seen(account(0, name=name, status="odd"))

    assert snapshot.accounts[0].name == name
    assert not name or name not in snapshot.warnings[0]


@pytest.mark.row(12)
def test_long_texts_are_cut_and_nul_is_replaced():
    found = seen(account(0, name="ab\0" * 5000, url="u" * 5000, countryCode="c" * 500)).accounts[0]

    assert found.name == ("ab\ufffd" * 5000)[:500]
    assert (len(found.url), len(found.country)) == (2000, 64)


@pytest.mark.row(13, 18)
def test_equal_names_and_urls_are_different_accounts():
    snapshot = seen(account(0), account(0, id="other"))

    assert [found.id for found in snapshot.accounts] == [
        "00000000-0000-0000-0000-000000000001",
        "other",
    ]


@pytest.mark.row(23)
@pytest.mark.parametrize(
    "extra",
    [
        b'"x":NaN',
        b'"x":-Infinity',
        b'"x":' + b"9" * 5000,
        b'"x":1e999999',
        b'"x":' + b"[" * 400 + b"]" * 400,
        b'"x":"\\ud800"',
        b'"headline":"\xff\xfe"',
        b'"name":"overridden"',
        b'"avatarUrl":{"deep":[{"er":1}]}',
    ],
)
def test_unknown_fields_and_strange_values_are_ignored(extra):
    content = body(account(0), account(1)).replace(b'{"id"', b"{" + extra + b',"id"')

    assert decode(content) == seen(account(0), account(1))


@pytest.mark.row(23)
def test_of_a_key_that_comes_twice_the_last_counts():
    content = body(account(0)).replace(b'"status"', b'"status": "frozen", "status"')

    assert decode(content) == seen(account(0))


@pytest.mark.row(23)
def test_nesting_beyond_measure_is_a_failed_poll():
    deep = b'"x":' + b"[" * 100_000 + b"]" * 100_000
    content = body(account(0)).replace(b'"id"', deep + b',"id"')

    assert decode(content).cause is Cause.BAD_RESPONSE


def test_bytes_that_are_no_utf8_harm_only_their_own_text():
    content = body(account(0, name="J?rg"), account(1)).replace(b"J?rg", b"J\xf6rg")

    assert [found.name for found in decode(content).accounts] == ["J\ufffdrg", "Person Number 1"]


def test_lone_surrogates_become_something_that_can_be_stored():
    content = body(account(0, name="\ud800x", id="\udfffid"))

    found = decode(content).accounts[0]

    assert (found.name, found.id) == ("?x", "?id")


@pytest.mark.row(28)
def test_a_byte_order_mark_is_no_obstacle():
    assert decode(b"\xef\xbb\xbf" + body(account(0))) == seen(account(0))


@pytest.mark.row(26)
def test_success_with_an_error_beside_it_is_success():
    content = body(account(0), error={"type": "invalidLinkedApiToken", "message": "?"})

    assert decode(content) == seen(account(0))


@pytest.mark.row(26, 27)
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"type": "invalidLinkedApiToken", "message": "no"}, Cause.TOKEN_REJECTED),
        ({"type": "linkedApiTokenRequired"}, Cause.TOKEN_REJECTED),
        ({"type": "tooManyRequests", "message": None}, Cause.RATE_LIMITED),
        ({"type": "accountNotFound", "message": 5}, Cause.BAD_RESPONSE),
        ({"type": "neverHeardOf", "message": "x" * 9000}, Cause.BAD_RESPONSE),
        ({"type": 5}, Cause.BAD_RESPONSE),
        ({"type": "two words\n"}, Cause.BAD_RESPONSE),
        ({}, Cause.BAD_RESPONSE),
        ("just text", Cause.BAD_RESPONSE),
        ([], Cause.BAD_RESPONSE),
        (None, Cause.BAD_RESPONSE),
        (ABSENT, Cause.BAD_RESPONSE),
    ],
)
def test_a_refusal_inside_http_200_is_judged_by_its_type(error, cause):
    failure = decode(body(account(0), success=False, error=error))

    assert failure.cause is cause
    assert len(failure.detail) < 400
    assert failure.detail.isprintable()


def test_an_unchanged_list_gives_the_same_objects_again():
    decoder, content = Decoder(ORIGINS), body(signed_out(0), account(1, status="odd"))

    first, second = decoder.decode(content), decoder.decode(content)

    assert first is second


def test_an_unchanged_account_keeps_its_object_when_another_changes():
    decoder = Decoder(ORIGINS)

    first = decoder.decode(body(signed_out(0), account(1), account(2, status="odd")))
    second = decoder.decode(
        body(signed_out(0), account(1, status="frozen"), account(2, status="odd"))
    )

    assert first.accounts[0] is second.accounts[0]
    assert second.accounts[1].status is Status.FROZEN
    assert first.warnings == second.warnings != ()


def test_a_failed_poll_between_does_not_forget_the_last_list():
    decoder = Decoder(ORIGINS)
    first = decoder.decode(body(account(0)))

    decode(b"<html>", decoder=decoder)

    assert decoder.decode(body(account(0))) is first


def test_an_odd_entry_that_comes_or_goes_is_noticed():
    decoder = Decoder(ORIGINS)

    clean = decoder.decode(body(account(0)))
    odd = decoder.decode(body(account(0), {"id": None}))

    assert clean.warnings == ()
    assert odd.warnings != ()
    assert decoder.decode(body(account(0))).warnings == ()


def test_a_rotated_link_is_seen():
    decoder = Decoder(ORIGINS)
    decoder.decode(body(signed_out(0)))

    snapshot = decoder.decode(body(signed_out(0, reconnectionLink=f"{LINK}new")))

    assert snapshot.accounts[0].session == Session("session-0", Secret(f"{LINK}new"))


def test_warnings_are_few_and_short_whatever_comes():
    snapshot = seen(
        *(account(number, id=f"{number}" + "é" * 190, status="\n" * number) for number in range(64))
    )

    assert len(snapshot.warnings) == MAX_WARNINGS
    assert all(len(warning) <= MAX_WARNING for warning in snapshot.warnings)
    assert snapshot.warnings[-1] == "and 45 more kinds of oddities"


def test_secrets_never_show():
    hidden = f"{LINK}secret-session"
    content = body(
        signed_out(0, reconnectionLink=hidden),
        account(1, status=hidden),
        account(2, identificationToken="id_very-secret", status=None),
    )

    shown = repr(decode(content).warnings) + repr(decode(content).accounts[0])
    shown += repr(wire.lenient(signed_out(0, reconnectionLink=hidden)))

    assert "secret" not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
odd_accounts = st.dictionaries(
    st.sampled_from([*signed_out(), "other"]),
    json_values | st.sampled_from(["active", "frozen", "reconnection_required", f"{LINK}x"]),
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "success": st.just(value=True) | json_values,
        "error": json_values,
        "result": json_values
        | st.fixed_dictionaries({"accounts": st.lists(odd_accounts | json_values, max_size=6)}),
    },
)


@given(st.lists(answers | json_values, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_json_gives_a_snapshot_or_a_failure(values):
    decoder = Decoder(ORIGINS)

    for value in values:
        content = json.dumps(value).encode()
        seen_now = decode(content, decoder=decoder)
        fresh = decode(content)

        assert isinstance(seen_now, Snapshot | Failure)
        assert seen_now == fresh
        if isinstance(seen_now, Snapshot):
            assert len({found.id for found in seen_now.accounts}) == len(seen_now.accounts)
            repr(seen_now).encode()


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_give_a_failure(content):
    assert isinstance(decode(content), Failure)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
@settings(deadline=None)
def test_a_damaged_byte_never_raises(place, byte):
    content = bytearray(body(signed_out(0), account(1)))
    content[place % len(content)] = byte

    assert isinstance(decode(content), Snapshot | Failure)


def test_the_typed_and_the_lenient_reading_agree():
    accounts = [signed_out(0), account(1, status="frozen"), account(2, status="odd")]

    assert seen(*accounts).accounts == seen(*accounts, None).accounts[:3]


def test_an_identification_token_is_never_materialised():
    fields = {field.encode_name for field in msgspec.structs.fields(wire.WireAccount)}

    assert "identificationToken" not in fields
    assert "identificationToken" not in wire.WireAccount.__struct_fields__

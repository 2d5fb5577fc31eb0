"""What is made of one account, however odd."""

import msgspec
import pytest
from harness.notifications import HOSTILE
from harness.payloads import ABSENT, LINK, account, read, signed_out

from monitor.core.model import ListedAccount, Session, Status
from monitor.core.secret import Secret
from monitor.core.text import sanitize
from monitor.source.wire import WireAccount, lenient, loads


def listed(fields, **options):
    return read(fields, **options).accounts[0]


def test_every_needed_field_is_read():
    assert read(account(3), signed_out(4)).warnings == ()
    assert listed(account(3)) == ListedAccount(
        id="00000000-0000-0000-0000-000000000004",
        name="Person Number 3",
        url="https://www.linkedin.com/in/person-number-3/",
        country="DE",
        status=Status.ACTIVE,
        raw_status="active",
    )
    assert listed(signed_out(4)) == ListedAccount(
        id="00000000-0000-0000-0000-000000000005",
        name="Person Number 4",
        url="https://www.linkedin.com/in/person-number-4/",
        country="DE",
        status=Status.RECONNECTION_REQUIRED,
        raw_status="reconnection_required",
        session=Session("session-4", Secret(f"{LINK}session-4")),
    )


def test_the_typed_and_the_lenient_reading_agree():
    accounts = [signed_out(0), account(1, status="frozen"), account(2, status="odd")]

    assert read(*accounts).accounts == read(*accounts, None).accounts


def test_an_identification_token_is_never_materialised():
    fields = msgspec.structs.fields(WireAccount)

    assert "identificationToken" not in {field.encode_name for field in fields}
    assert loads(b'{"id": "a1", "identificationToken": "id_very-secret"}') == {"id": "a1"}


def test_secrets_never_show():
    link = f"{LINK}secret-session"
    fields = signed_out(0, reconnectionLink=link)
    odd = account(1, identificationToken="id_very-secret", status=None)
    snapshot = read(fields, odd, account(2, status=link))

    assert "secret" not in repr((snapshot.warnings, snapshot.accounts[:2], lenient(fields)))


@pytest.mark.odd_input("null or absent details", "odd or moving connectedAt")
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
    odd = read(account(0, **changes), account(1))

    assert [account.status for account in odd.accounts] == [Status.ACTIVE] * 2
    assert odd.accounts[1] == listed(account(1))
    assert odd.warnings == ()


@pytest.mark.odd_input("unknown status")
@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (ABSENT, ""),
        (None, "null"),
        ("", ""),
        (5, "5"),
        (10**20, "1e+20"),
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
    snapshot = read(signed_out(0, status=status), account(1))

    odd, fine = snapshot.accounts
    assert (odd.status, odd.raw_status, odd.session) == (Status.UNKNOWN, raw, None)
    assert fine.status is Status.ACTIVE
    assert len(snapshot.warnings) == 1
    assert "unknown status" in snapshot.warnings[0]


@pytest.mark.odd_input("sign-out without a link")
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
    fields = signed_out(0, reconnectionSessionId=session_id, reconnectionLink=link)

    assert listed(fields).session == expected


@pytest.mark.odd_input("stale link of an active account")
@pytest.mark.parametrize("status", ["active", "frozen", "paused"])
def test_a_link_is_ignored_unless_a_login_is_needed(status):
    assert listed(signed_out(0, status=status)).session is None


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
    f" {LINK}1",
    LINK + "x" * 2000,
    *(
        f"{LINK}{odd}"
        for odd in (
            *("a b", "a\nb", "a\r\nBcc: x", "a\tb", "<script>", '">', "|text", "`x`", "*x*"),
            *("[x](y)", "é", "\u202e", "\0"),
        )
    ),
]


@pytest.mark.odd_input("unsafe link")
@pytest.mark.parametrize("link", UNSAFE)
def test_a_link_that_is_not_safe_is_left_out_and_its_text_is_not_shown(link):
    snapshot = read(signed_out(0, reconnectionLink=link))

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
    snapshot = read(signed_out(0, reconnectionLink=link), origins=(origin,))

    assert snapshot.accounts[0].session == Session("session-0", Secret(link))
    assert snapshot.warnings == ()


def test_origins_that_are_none_allow_nothing():
    origins = ("", "nonsense", "ftp://x", "https://x:y")

    assert listed(signed_out(), origins=origins).session == Session("session-0", None)


@pytest.mark.odd_input("unusable id")
@pytest.mark.parametrize(
    "entry",
    [
        *(account(0, id=odd) for odd in (ABSENT, None, "", "   ", 5, True, ["x"], {"a": 1})),
        *(account(0, id=odd) for odd in ("x" * 201, "a\0b", 10**40)),
        *(None, 5, "text", [], [account(0)]),
    ],
)
def test_an_entry_without_a_usable_id_is_left_out_with_a_warning(entry):
    snapshot = read(entry, account(1))

    assert snapshot.accounts == read(account(1)).accounts
    assert snapshot.warnings == ("left out for want of a usable id: 1 account",)


@pytest.mark.odd_input("unusable id")
@pytest.mark.parametrize("odd", ["6F9619FF-8B86-D011-B42D-00CF4FC964FF", "häßlich <b>", "x" * 200])
def test_ids_are_opaque(odd):
    assert listed(account(0, id=odd)).id == odd


@pytest.mark.odd_input("hostile name")
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_stay_as_they_are_if_they_can_and_never_reach_a_warning(name):
    snapshot = read(account(0, name=name, status="odd"))

    assert snapshot.accounts[0].name == sanitize(name, limit=500)
    assert not name or name not in snapshot.warnings[0]


@pytest.mark.odd_input("hostile name")
def test_long_texts_are_cut_and_nul_is_replaced():
    long = listed(account(0, name="ab\0" * 5000, url="u" * 5000, countryCode="c" * 500))

    assert long.name == ("ab\ufffd" * 5000)[:500]
    assert (len(long.url), len(long.country)) == (2000, 64)


def test_lone_surrogates_become_something_that_can_be_stored():
    fields = signed_out(0, name="\ud800x", id="\udfffid", reconnectionSessionId="s\ud800")
    parsed = listed(fields)

    assert (parsed.name, parsed.id, parsed.session.id) == ("?x", "?id", "s?")
    assert listed(account(0, status="\ud800")).raw_status == "?"


@pytest.mark.odd_input("two accounts of one name", "two ids of one person")
def test_equal_names_and_urls_are_different_accounts():
    ids = [account.id for account in read(account(0), account(0, id="other")).accounts]

    assert ids == ["00000000-0000-0000-0000-000000000001", "other"]

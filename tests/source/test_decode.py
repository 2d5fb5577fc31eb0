"""How the responses of `accounts.getAll` are read, and what is remembered of the last one."""

import pytest
from harness.payloads import ABSENT, LINK, ORIGINS, account, body, read, signed_out
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.errors import ApiError
from monitor.core.model import Cause, Session, Snapshot, Status
from monitor.core.secret import Secret
from monitor.source.decode import MAX_WARNING, MAX_WARNINGS, Decoder


@pytest.fixture
def decoder():
    return Decoder(ORIGINS)


@pytest.mark.odd_input("empty list at first")
def test_an_empty_list_is_a_snapshot_of_no_accounts(decoder):
    assert decoder.decode(body()) == Snapshot(())


@pytest.mark.odd_input("no account list", "unknown fields and extreme values", "odd success field")
@pytest.mark.parametrize(
    "content",
    [
        *(body(result=result) for result in (ABSENT, None, {}, [])),
        *(body(result={"accounts": accounts}) for accounts in (None, {}, "none")),
        *(body(success=success) for success in ("true", 1, None, ABSENT)),
        *(b"[]", b"null", b"17", b"", b"  ", b"{"),
        body(account())[:-9],
        body(account()) + b"x",
        b"<!doctype html><html><body>Maintenance</body></html>",
        b"[" * 200_000,
        body(account()).replace(b'"id"', b'"x":%b%b,"id"' % (b"[" * 100_000, b"]" * 100_000)),
        '{"success":true}'.encode("utf-16"),
    ],
)
def test_a_response_without_a_list_of_accounts_is_a_bad_one(decoder, content):
    with pytest.raises(ApiError, match=r"^Linked API") as caught:
        decoder.decode(content)

    assert caught.value.cause is Cause.BAD_RESPONSE


@pytest.mark.odd_input("no pending sessions", "odd pending sessions")
@pytest.mark.parametrize("pending", [ABSENT, None, [], [{}], [{"status": "new"}], "odd"])
def test_pending_sessions_do_not_matter(decoder, pending):
    result = {"accounts": [account()], "pendingConnectionSessions": pending}
    if pending is ABSENT:
        del result["pendingConnectionSessions"]

    assert decoder.decode(body(result=result)) == read(account())


@pytest.mark.odd_input("unknown fields and extreme values")
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
        b'"name":"of two the last counts"',
        b'"avatarUrl":{"deep":[{"er":1}]}',
        b'"status":"of two the last counts"',
    ],
)
def test_unknown_fields_and_strange_values_are_ignored(decoder, extra):
    content = body(account(0), account(1)).replace(b'{"id"', b"{" + extra + b',"id"')

    assert decoder.decode(content) == read(account(0), account(1))


def test_bytes_that_are_no_utf8_harm_only_their_own_text(decoder):
    content = body(account(0, name="J?rg"), account(1)).replace(b"J?rg", b"J\xf6rg")
    names = [account.name for account in decoder.decode(content).accounts]

    assert names == ["J\ufffdrg", "Person Number 1"]


@pytest.mark.odd_input("odd success field", "odd body")
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + body(account(0)),
        body(account(0), error={"type": "invalidLinkedApiToken", "message": "?"}),
    ],
)
def test_neither_a_byte_order_mark_nor_an_error_beside_success_is_an_obstacle(decoder, content):
    assert decoder.decode(content) == read(account(0))


@pytest.mark.odd_input("same id twice")
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
def test_the_worst_status_of_an_id_that_comes_twice_counts(decoder, statuses, worst):
    content = body(*(account(0, status=status) for status in statuses), account(1))

    for _ in range(2):
        snapshot = decoder.decode(content)

        assert [account.status for account in snapshot.accounts] == [worst, Status.ACTIVE]
        assert sum("more than once" in warning for warning in snapshot.warnings) == 1


@pytest.mark.odd_input("unknown status")
def test_what_is_odd_about_a_status_that_does_not_count_is_not_said():
    (warning,) = read(account(0, status="frozen"), account(0, status="new")).warnings
    assert warning.startswith("listed more than once")


def test_one_new_word_on_many_accounts_is_one_warning():
    (warning,) = read(*(account(number, status="new") for number in range(50))).warnings

    assert warning == (
        "unknown status 'new': 50 accounts, the first is '00000000-0000-0000-0000-000000000001'"
    )


def test_warnings_are_few_and_short_whatever_comes():
    warnings = read(
        *(account(number, id=f"{number}" + "é" * 190, status="\n" * number) for number in range(64))
    ).warnings

    assert len(warnings) == MAX_WARNINGS
    assert all(len(warning) <= MAX_WARNING for warning in warnings)
    assert warnings[-1] == "and 45 more kinds of oddities"


# ── what is remembered of the last response ──────────────────────────────────────────────────────


def test_an_unchanged_list_gives_the_same_objects_again_also_after_a_failure(decoder):
    content = body(signed_out(0), account(1, status="odd"))
    first = decoder.decode(content)

    assert decoder.decode(content) is first
    with pytest.raises(ApiError):
        decoder.decode(b"<html>")
    assert decoder.decode(content) is first


def test_an_unchanged_account_keeps_its_object_when_another_changes(decoder):
    rest = signed_out(0), account(2, status="odd")
    first = decoder.decode(body(*rest, account(1)))
    second = decoder.decode(body(*rest, account(1, status="frozen")))

    assert first.accounts[0] is second.accounts[0]
    assert second.accounts[2].status is Status.FROZEN
    assert first.warnings == second.warnings != ()


ENTRIES = st.one_of(
    st.just(17),
    st.builds(
        account,
        id=st.sampled_from("ab "),
        status=st.sampled_from(["active", "frozen", "new", "newer"]),
    ),
)


@given(st.lists(st.lists(ENTRIES, max_size=4), max_size=4))
def test_what_is_remembered_of_earlier_lists_changes_nothing(lists):
    decoder = Decoder(ORIGINS)
    for entries in lists:
        assert decoder.decode(body(*entries)) == Decoder(ORIGINS).decode(body(*entries))


def test_what_comes_twice_is_warned_of_once_wherever_it_moves(decoder):
    twice = account(0, status="odd")
    decoder.decode(body(account(1), twice, account(2), twice))

    moved = body(twice, account(1), twice, account(2))
    assert decoder.decode(moved) == Decoder(ORIGINS).decode(moved)


def test_texts_of_which_many_are_kept_are_kept_once(decoder):
    first, second = decoder.decode(body(account(0), account(1))).accounts
    assert first.country is second.country
    assert first.raw_status is second.raw_status


def test_an_odd_entry_that_comes_or_goes_is_noticed(decoder):
    contents = body(account(0)), body(account(0), {"id": None}), body(account(0))

    assert [len(decoder.decode(content).warnings) for content in contents] == [0, 1, 0]


def test_a_rotated_link_is_seen(decoder):
    decoder.decode(body(signed_out(0)))

    (rotated,) = decoder.decode(body(signed_out(0, reconnectionLink=f"{LINK}new"))).accounts

    assert rotated.session == Session("session-0", Secret(f"{LINK}new"))

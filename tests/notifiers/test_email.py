"""Recipients, threads and settings; how mails look is in `__snapshots__/test_messages`."""

import html
import re
from base64 import b64decode

import pytest
from harness.core import HOUR, LINK, NOON
from harness.notifications import account, message, notification
from harness.raw_server import TLS
from harness.receivers import TIMEOUT, MailServer
from harness.receivers import mail_settings as settings
from pydantic import ValidationError

from monitor.core.errors import AttemptReason, DeliveryError, MonitorError, Remedy
from monitor.core.model import EventType
from monitor.core.receipt import Receipt
from monitor.core.render import Style
from monitor.notifiers import email

PASSWORD = "hunter2hunter2"
LOGIN = {"username": "ops", "password": PASSWORD}


async def send(mail, *, style=Style(), **values):  # noqa: B008 - a value
    notifier = email.Notifier(settings(timeout=TIMEOUT, **values), http=None, style=style)
    return await notifier.send(mail)


async def mails(*messages, **values):
    with MailServer() as server:
        for mail in messages:
            await send(mail, port=server.port, **values)
    return server.inbox.mails


OUTLOOK_ROOT = 22  # bytes of a Thread-Index that all mails of a conversation share


async def test_the_mails_of_an_incident_make_one_thread():
    opening, reminder, resolution = await mails(
        message(),
        message(notification(EventType.REMINDED), id_="another", now=NOON + HOUR),
        message(notification(EventType.RESOLVED), id_="a third", now=NOON + 2 * HOUR),
    )

    assert opening["references"] == resolution["references"] == resolution["in-reply-to"]
    assert resolution["subject"] == reminder["subject"] == f"Re: {opening['subject']}"
    assert opening["message-id"] != resolution["message-id"]
    root, *later = (b64decode(mail["thread-index"]) for mail in (opening, reminder, resolution))
    assert len(root) == OUTLOOK_ROOT
    assert [index[:OUTLOOK_ROOT] for index in later] == [root, root]
    assert [len(index) for index in later] == [OUTLOOK_ROOT + 5] * 2
    assert root < later[0] < later[1], "in the order of time"


async def test_outlook_reads_when_an_incident_began_and_which_it_is():
    people = [account(id_=id_) for id_ in ("a", "b")]
    first, other = await mails(*(message(notification(person=person)) for person in people))

    index = b64decode(first["thread-index"])
    filetime = int.from_bytes(index[:6] + b"\0\0")
    opened_at = message(notification()).notifications[0].incident.opened_at
    assert abs(filetime // 10 - 11_644_473_600_000_000 - opened_at) < 10_000
    assert index[6:] != b64decode(other["thread-index"])[6:]


async def test_a_group_is_in_nobodys_thread():
    (group,) = await mails(message(notification(), notification(person=account("Joe", id_="b"))))

    assert not {"references", "in-reply-to", "thread-index"} & {name.lower() for name in group}
    assert not group["subject"].startswith("Re:")


# ── what stands around the message ───────────────────────────────────────────────────────────────


def parts(mail):
    return [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (["ops@example.com"], "the receiver “mail” sends to your address"),
        ({"label": "owner"}, "your address is in the label “owner”"),
    ],
)
async def test_a_mail_says_who_sent_it_and_why_somebody_gets_it(to, reason):
    (mail,) = await mails(message(address="jane@example.com"), to=to, style=Style(monitor="prod"))

    for part in parts(mail):
        assert f"Sent by linkedapi-monitor “prod”. You get this mail because {reason}." in part


async def test_beside_the_subject_stands_what_is_now_and_nothing_else():
    opening, reminder, group = await mails(
        message(),
        message(notification(EventType.REMINDED)),
        message(notification(), notification(person=account("Joe", id_="b"))),
    )

    assert preview(opening).startswith("Open Reconnect and log in to LinkedIn. Until")
    assert preview(reminder).startswith("“Jane Doe” is still signed out of LinkedIn. Open Rec")
    assert preview(group).startswith("Open Reconnect beside each name")


def crowd(size):
    """So many accounts that are signed out, each with a link of its own."""
    return [
        notification(
            person=account(f"Person {number}", id_=f"{number:08}"), link=f"{LINK}/{number}"
        )
        for number in range(size)
    ]


async def test_a_mail_lists_all_of_a_group_with_their_links():
    (mail,) = await mails(message(*crowd(200)))

    for part in parts(mail):
        assert len(re.findall(rf"{LINK}/\d+", part)) == 200
        assert "more: run" not in part


async def test_a_mail_is_as_long_as_gmail_shows_it_and_says_where_the_rest_is():
    (mail,) = await mails(message(*crowd(1000)))

    for part in parts(mail):
        listed = len(re.findall(rf"{LINK}/\d+", part))
        rest = f"{1000 - listed} more: run “linkedapi-monitor accounts --bad --show-links”"
        assert listed > 200
        assert rest in part
    assert 98_000 < len(parts(mail)[1].replace("\r\n", "\n").encode()) <= 100_000


async def test_a_span_is_not_broken_at_the_end_of_a_line():
    (mail,) = await mails(message(notification(EventType.RESOLVED)))

    assert parts(mail)[1].count("2\u00a0h\u00a05\u00a0min") == 2


def preview(mail):
    """What stands before all else, hidden; behind it, blanks fill what a list has room for."""
    before = parts(mail)[1].partition("<table")[0].partition("<body")[2]
    assert "display:none" in before
    shown = html.unescape(re.sub(r"<[^>]*>", "", before.partition(">")[2])).strip()
    text = shown.rstrip("\u2007\u034f")
    assert len(shown) - len(text) >= 200
    return text


# ── recipients, one by one ───────────────────────────────────────────────────────────────────────

OPS, BOSS, GONE = "ops@example.com", "boss@example.com", "gone@example.com"
REPLIES = {
    BOSS: "450 4.2.0 boss@example.com is greylisted, come back later",
    GONE: "550 5.1.1 gone@example.com is unknown",
}


async def receipt(mail=None, *, to, replies=REPLIES):
    """Send a mail to a server that refuses BOSS for now and GONE for good."""
    with MailServer() as server:
        server.inbox.replies |= replies
        receipt = await send(mail or message(), port=server.port, to=to)
    return receipt, server.inbox.recipients


async def test_all_who_take_a_mail_are_one_receipt():
    assert await receipt(to=[OPS, BOSS], replies={}) == (Receipt(), [[OPS, BOSS]])


async def test_who_is_refused_for_now_is_to_be_tried_again_and_who_is_refused_for_good_is_not():
    given, recipients = await receipt(to=[GONE, f"Ops <{OPS}>", BOSS])

    assert (given.accepted, given.refused) == ((OPS,), (GONE,))
    assert (
        str(given.failure) == "recipients refused: 1 for good and 1 for now, of 3 (SMTP 450, 550)"
    )
    assert (given.failure.reason, given.failure.remedy) == (AttemptReason.CLIENT, Remedy.RETRY)
    assert recipients == [[OPS]]


async def test_who_is_named_twice_gets_a_mail_once():
    assert await receipt(to=[OPS, f"Ops <{OPS}>"]) == (Receipt(), [[OPS]])


async def test_a_retry_writes_only_to_those_who_have_not_answered():
    given, recipients = await receipt(message(done=(OPS, GONE)), to=[GONE, OPS, BOSS], replies={})

    assert given == Receipt()
    assert recipients == [[BOSS]]


@pytest.mark.parametrize(
    ("left", "reason", "remedy"),
    [(BOSS, AttemptReason.SERVER, Remedy.RETRY), (GONE, AttemptReason.CLIENT, Remedy.DROP)],
)
async def test_what_the_last_of_several_answers_is_not_said_of_the_receiver(left, reason, remedy):
    given, recipients = await receipt(message(done=(OPS,)), to=[OPS, left])

    assert not given.is_taken
    assert (given.failure.reason, given.failure.remedy) == (reason, remedy)
    assert recipients == []


async def test_nobody_is_written_to_if_all_who_are_left_were_taken_out_of_the_configuration():
    assert await receipt(message(done=(OPS,)), to=[OPS]) == (Receipt(), [])


@pytest.mark.parametrize("remedy", [Remedy.MEND, Remedy.RETRY])
async def test_if_nobody_takes_a_mail_the_receiver_has_failed(remedy):
    with pytest.raises(DeliveryError, match="no recipient was accepted") as caught:
        await receipt(to=[GONE] if remedy is Remedy.MEND else [GONE, BOSS])

    assert caught.value.remedy is remedy


@pytest.mark.parametrize(
    ("address", "remedy"), [(BOSS, Remedy.RETRY), (f"Gone <{GONE}>", Remedy.DROP)]
)
async def test_what_an_address_of_a_label_answers_is_not_said_of_those_of_other_accounts(
    address, remedy
):
    given, _ = await receipt(message(address=address), to=OWNER)

    assert not given.is_taken
    assert given.failure.remedy is remedy
    assert "example" not in str(given.failure)


async def test_a_server_that_gives_up_among_the_recipients_took_nothing():
    with pytest.raises(
        DeliveryError, match=r"the server takes no mail \(SMTP 421 4.3.2\)"
    ) as caught:
        await receipt(to=[OPS, BOSS], replies={BOSS: "421 4.3.2 shutting down"})

    assert (caught.value.ambiguous, caught.value.remedy) == (False, Remedy.RETRY)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_leaves_encrypted_and_with_a_login(tls):
    with MailServer(tls=tls, password=PASSWORD) as server:
        login = {"username": "ops", "password": PASSWORD, "ca_file": TLS / "localhost.pem"}
        await send(message(), port=server.port, tls=tls, **login)

    assert len(server.inbox.mails) == 1
    assert server.inbox.logins == ["ops"]


@pytest.mark.parametrize(
    "values",
    [
        {"to": []},
        {"to": ["ops@example.com\r\nBcc: x@example.com"]},
        {"to": ["ops"]},
        {"from": "Ops\n<ops@example.com>"},
        {"from": "ö@example.com"},
        {"username": "ops"},
        {"password": PASSWORD},
        {"host": "mail example"},
        *({"host": f"mail{sign}"} for sign in "\n\t\x1b\u202e"),
        *(LOGIN | {"username": f"ops{sign}"} for sign in "\n\t\x1b\u202e"),
        {"timezone": "Mars/Olympus"},
    ],
)
def test_settings_that_cannot_work_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        settings(**values)

    assert PASSWORD not in str(caught.value)


def test_a_certificate_that_cannot_be_read_is_said_at_once(tmp_path):
    with pytest.raises(MonitorError, match=r"receiver mail: ca_file .* cannot be used"):
        email.Notifier(settings(tls="tls", ca_file=tmp_path / "no"), http=None, style=Style())


async def test_a_mail_that_cannot_be_written_is_for_good_and_its_error_holds_no_address():
    with pytest.raises(DeliveryError, match=r"^the mail could not be written: \w+$") as caught:
        await send(message(now=10**18))  # a date too far for a calendar

    assert caught.value.remedy is Remedy.DROP
    assert caught.value.__context__ is None


# ── recipients that a label names ────────────────────────────────────────────────────────────────

OWNER = {"label": "owner"}


async def test_a_mail_goes_to_the_address_that_a_label_of_its_accounts_gave():
    with MailServer() as server:
        for address in ("Jane <jane@example.com>", "joe@example.com"):
            await send(message(address=address), port=server.port, to=OWNER)

    assert server.inbox.recipients == [["jane@example.com"], ["joe@example.com"]]
    assert [mail["to"] for mail in server.inbox.mails] == [
        *("Jane <jane@example.com>", "joe@example.com"),
    ]
    assert server.inbox.mails[0]["from"] == "Monitor <monitor@example.com>"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "there is no label 'owner' that says whom to write to"),
        ("jane.example.com", "the mail could not be written: ValueError"),
    ],
)
async def test_a_message_whose_label_holds_no_address_is_wrong_and_says_so(address, text):
    with MailServer() as server, pytest.raises(DeliveryError) as caught:
        await send(message(address=address), port=server.port, to=OWNER)

    error = caught.value
    assert str(error) == text
    assert error.__context__ is None
    assert (error.reason, error.remedy) == (AttemptReason.CLIENT, Remedy.DROP)
    assert not error.ambiguous
    assert not server.inbox.mails


def test_only_a_receiver_without_addresses_of_its_own_has_a_label():
    assert (settings(to=OWNER).address_label, settings().address_label) == ("owner", None)
    assert (settings(to=OWNER).sample_address, settings().sample_address) == (
        "Monitor <monitor@example.com>",
        "",
    )


@pytest.mark.parametrize(
    "address",
    [
        *("jane", "", "jane@example.com\nBcc: x@example.com", "a@b, c@d"),
        *("taro..yamada@example.jp", "taro.@example.jp", ".taro@example.jp"),
        *("a@b..c", "a@b.", "a@.", "=?utf-8?q?a=0ABcc=3A_e=40x?= <a@example.com>"),
    ],
)
def test_what_is_no_address_is_refused_before_anybody_writes_to_it(address):
    with pytest.raises(ValueError, match="must be an address"):
        settings(to=OWNER).label_checks["owner"](address)


@pytest.mark.parametrize(
    "to", [{}, {"label": ""}, {"label": 5}, {"lable": "owner"}, {"label": "a", "x": "b"}, "ops"]
)
def test_recipients_are_a_list_or_a_label(to):
    with pytest.raises(ValidationError):
        settings(to=to)


async def test_a_mail_lists_as_many_as_its_size_allows_however_little_there_is_of_each():
    people = [account(f"N{n}", id_=f"a{n}") for n in range(1100)]
    group = [notification(person=person, link=None, link_withheld=True) for person in people]

    (mail,) = await mails(message(*group))

    size = len(mail.get_body(("html",)).get_content().encode())
    assert email.MAX_HTML * 0.95 < size <= email.MAX_HTML + 1000  # line ends

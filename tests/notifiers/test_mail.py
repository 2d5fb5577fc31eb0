"""How mails are written, byte by byte, and that others read in them what was meant."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from email.utils import getaddresses

import hypothesis
import pytest
from harness.notifications import NAMES, account, message, notification
from harness.receivers import MailServer
from harness.receivers import mail_settings as settings
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model import EventType
from monitor.core.render import Style
from monitor.core.text import clean
from monitor.notifiers import email
from monitor.notifiers._mail import Mailbox, ascii_domain, parse_mailbox, write_mail

ODD_SUBJECTS = {
    "an encoded word": "Jane =?utf-8?q?Bcc=3A_e=40example=2Ecom?= Doe",
    "touching words": "Świątek Kamiński Łukasz",
    "a blank at an end": " Zoë ",
    "blanks": "Zoë  Doe",
    "plain blanks": "Jane  Doe",
    "a long line": " ".join(["Jane of the many names"] * 5),
    "a long word": "J" * 120,
    "a long word beyond ASCII": "Ж" * 120,
    "one wide character": "👩🏽\u200d💻" * 20,
    "nothing": "",
}


OPS = Mailbox("", "ops@example.com")


def write(subject="x", *, to=(OPS,), text="A.\n", html="<p>A.\n"):
    sender = Mailbox("Linked API monitor", "monitor@example.com")
    headers = {"Message-ID": "<1@example.com>"}
    raw = write_mail(sender=sender, to=to, subject=subject, headers=headers, text=text, html=html)
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    return raw


def check_header(raw, name):
    """Return the value of a header as two readers decode it, sure that strict servers take it."""
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    lines = re.search(rb"^%b: ?(?s:.*?\r\n)(?! )" % name.encode(), head, re.MULTILINE)[0]
    for line in lines.decode().splitlines():
        words = re.findall(r"=\?\S+?\?=", line)
        assert all(len(word) <= 75 for word in words)
        assert len(line) <= 76 or not (words or max(map(len, line.split())) < 60)
        assert line.strip()
        assert len(words) <= 1  # they do not touch
        assert "=?" not in line.replace("".join(words), "")
    decoded = message_from_bytes(raw, policy=default)[name]
    assert decoded.defects == ()
    old = str(make_header(decode_header(message_from_bytes(raw)[name].replace("\r\n", ""))))
    assert old == decoded
    return str(decoded)


@pytest.mark.parametrize("name", [*NAMES.values(), *ODD_SUBJECTS.values()])
def test_a_subject_is_read_as_it_was_meant(name):
    subject = f"LinkedIn account problem: {name} (acme)"

    assert check_header(write(subject), "Subject") == subject


@pytest.mark.parametrize(
    "subject", [" Jane", "Jane ", "Jane  Doe", " ", "Jane\tDoe", "", "a " * 60]
)
def test_blanks_of_a_subject_are_kept(subject):
    assert check_header(write(subject), "Subject") == subject


@hypothesis.settings(max_examples=60, deadline=None)
@given(st.text(max_size=120).map(lambda text: clean(text, 120)))
def test_any_subject_is_read_as_it_was_meant(subject):
    assert check_header(write(subject), "Subject") == subject


@pytest.mark.parametrize("name", NAMES.values())
async def test_all_mails_of_an_incident_have_one_subject(name):
    person = account(name)
    events = (EventType.OPENED, EventType.REMINDED, EventType.RESOLVED)
    with MailServer() as server:
        notifier = email.Notifier(settings(port=server.port), http=None, style=Style())
        for event in events:
            await notifier.send(message(notification(event, person=person)))

    opened, *others = (mail["subject"] for mail in server.inbox.mails)
    assert clean(name) in opened
    assert others == [f"Re: {opened}"] * 2


@pytest.mark.parametrize(
    "name",
    [*NAMES.values(), "Ops, Team", 'O"Brien \\', "a@b", "Ops (night)", "=?x?=", "J" * 200],
)
def test_the_name_of_a_mailbox_is_read_as_it_was_meant(name):
    raw = write(to=(Mailbox(name, "ops@example.com"), Mailbox("", "joe@example.com")))

    (read, address), joe = getaddresses([message_from_bytes(raw)["To"]])
    assert (str(make_header(decode_header(read))), address) == (name, "ops@example.com")
    assert joe == ("", "joe@example.com")
    assert max(map(len, raw.partition(b"Subject")[0].splitlines())) <= 76


@pytest.mark.parametrize(
    "text",
    [
        *NAMES.values(),
        ".\n..\n.x\n",
        "--=_monitor\n--=_monitor--\n",
        "From here\n",
        "x" * 5000,
        "é" * 5000,
        "blank at the end \n\ttab\t\n",
        "=?utf-8?q?a?= = =3D\n",
        "",
    ],
)
async def test_a_body_arrives_as_it_was_written_in_lines_that_every_server_takes(text):
    raw = write(text=text, html=text)
    with MailServer() as server:
        notifier = email.Notifier(settings(port=server.port), http=None, style=Style())
        await notifier._server.send(raw, sender="m@example.com", recipients=["ops@example.com"])

    (mail,) = server.inbox.mails
    assert max(map(len, raw.splitlines())) <= 76
    for kind in ("plain", "html"):
        content = mail.get_body((kind,)).get_content().replace("\r\n", "\n")
        assert content == (f"{text.removesuffix(chr(10))}\n" if text else "")
    assert not mail.defects


def test_breaks_of_all_kinds_are_lines():
    mail = message_from_bytes(write(text="a\rb\r\nc\u2028d\x00"), policy=default)

    assert mail.get_body(("plain",)).get_content().splitlines() == ["a", "b", "c", "d\x00"]


@pytest.mark.parametrize("value", ["a\r\nBcc: e@example.com", "é", "x" * 1000])
def test_no_header_holds_another(value):
    with pytest.raises(ValueError, match="not the value of a header"):
        write_mail(
            sender=Mailbox("", "m@example.com"),
            to=(),
            subject="",
            headers={"References": value},
            text="",
            html="",
        )


# ── mailboxes and domains ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ops@example.com", ("", "ops@example.com")),
        (" <ops@example.com> ", ("", "ops@example.com")),
        ("Jörg Groß <ops@bücher.example>", ("Jörg Groß", "ops@xn--bcher-kva.example")),
        ('"Ops, \\"night\\"" <ops@例え.テスト>', ('Ops, "night"', "ops@xn--r8jz45g.xn--zckzah")),
        ("ops@STRASSE.example", ("", "ops@STRASSE.example")),
        ("ops@straße.example", ("", "ops@xn--strae-oqa.example")),
        *((f'"{name}" <ops@example.com>', (name, "ops@example.com")) for name in NAMES.values()),
        ("o'brien+a@localhost", ("", "o'brien+a@localhost")),
        ("Ops (night) <ops@xn--bcher-kva.example>", ("Ops (night)", "ops@xn--bcher-kva.example")),
    ],
)
def test_a_mailbox_is_a_name_and_an_address_whose_domain_is_ascii(text, mailbox):
    assert parse_mailbox(text) == mailbox


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("jörg@example.com", "before the @ only ASCII works"),
        ("Jörg <jörg@bücher.example>", "before the @ only ASCII works"),
        ("ops@büch er.example", "must be an address"),
        ("ops@büch_er.example", "its domain is no domain|its domain has letters"),
        ("ops@-a.example", "its domain is no domain such as"),
        ("ops@a..example", "its domain is no domain such as"),
        (f"ops@{'a' * 64}.example", "its domain is no domain such as"),
        ("ops@☃.example", "its domain has letters that no domain can have"),
        (f"{'a' * 65}@example.com", "must be an address"),
        ("Ops, Team <ops@example.com>", "must be an address"),
        ("Ops <ops@example.com> x", "must be an address"),
        ("Ops <a@example.com>, Joe <b@example.com>", "must be an address"),
        ("<<ops@example.com>>", "must be an address"),
        ("ops@exa\u00admple.com", "must be an address"),
        ("Ops \u202espo <ops@example.com>", "must be an address"),
    ],
)
def test_what_is_no_mailbox_is_refused_with_a_reason(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_mailbox(text)

    assert str(caught.value).startswith("must be an address such as ops@example.com")


@pytest.mark.parametrize("name", ["", ".", "a b", "a\n", "exa\nmple.com", "١.example/"])
def test_what_is_no_domain_is_refused(name):
    with pytest.raises(ValueError, match="domain"):
        ascii_domain(name)

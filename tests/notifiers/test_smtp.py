"""What an attempt to send a mail means, by how a real server behaves."""

import asyncio
import contextlib
import re
import socket
import time

import pytest
from harness.program import free_port
from harness.raw_server import TLS
from harness.receivers import TIMEOUT, MailServer, dead_address
from pydantic import ValidationError

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.notifiers._smtp import SmtpSettings
from monitor.notifiers._smtp_server import SmtpServer

PASSWORD = "hunter2hunter2"
LOGIN = {"username": "ops", "password": PASSWORD}
SOON = Duration.parse("1s")
SENDER, RECIPIENT = "monitor@example.com", "ops@example.com"


async def send(port, *, recipients=(RECIPIENT,), **values):
    server = {"host": "127.0.0.1", "port": port, "tls": "none", "timeout": TIMEOUT}
    settings = SmtpSettings.model_validate({"name": "mail", "type": "email", **server, **values})
    mail = b"Subject: x\r\n\r\nA mail.\r\n"
    return await SmtpServer(settings).send(mail, sender=SENDER, recipients=recipients)


async def refusal(port, **values):
    """Return how sending failed, sure that nothing secret is in it."""
    with pytest.raises(DeliveryError) as caught:
        await send(port, **values)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not re.search(r"example|127\.0\.0\.1|hunter", repr((error, vars(error))))
    return error


def test_a_server_is_asked_at_the_port_for_submission_unless_another_is_named():
    settings = SmtpSettings(name="mail", type="email", host="mail.example.com")

    assert settings.port == 587


@pytest.mark.parametrize(
    ("host", "ascii_host"),
    [
        ("mail.bücher.example", "mail.xn--bcher-kva.example"),
        *((host, host) for host in ("mail_1", "127.0.0.1", "::1", "fe80::1%eth0", "a-b.example")),
    ],
)
def test_the_name_of_a_server_is_written_as_dns_does(host, ascii_host):
    assert SmtpSettings(name="mail", type="email", host=host).host == ascii_host


@pytest.mark.parametrize("host", ["", "mail example", "a\n", "smtp://a.example", "a.example:25"])
def test_what_is_no_server_is_refused(host):
    with pytest.raises(ValidationError, match="is no domain such as"):
        SmtpSettings(name="mail", type="email", host=host)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_there_is_not_is_refused(port):
    with pytest.raises(ValidationError, match="port"):
        SmtpSettings(name="mail", type="email", host="mail.example.com", port=port)


# ── the way to the server ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def resolve(monkeypatch):
    """Let the name of the server stand for these addresses."""

    def resolve(*answers):
        async def getaddrinfo(_host, port, **_):
            if isinstance(answers[0], Exception):
                raise answers[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, port)) for it in answers]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return resolve


def silent(address, port):
    """Let a port of an *address* take connections and say nothing."""
    return socket.create_server((address, port))


def closed(_address, _port):
    """Let nothing listen there."""
    return contextlib.nullcontext()


@pytest.mark.parametrize(
    "first",
    [dead_address, silent, closed],
)
async def test_a_dead_address_does_not_keep_mail_from_the_next_one(first, resolve):
    resolve("127.0.0.2", "127.0.0.1")
    with MailServer() as server, first("127.0.0.2", server.port):
        await send(server.port, host="mail.example.com")

    assert len(server.inbox.mails) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "is_trusted", "words"),
    [
        ("localhost.pem", False, "its certificate is signed by an authority that is unknown here"),
        ("expired.pem", True, "its certificate has expired"),
        ("elsewhere.pem", True, "its certificate is for another name"),
    ],
)
async def test_a_certificate_that_is_not_right_is_said(tls, certificate, is_trusted, words):
    with MailServer(tls=tls, certificate=certificate) as server:
        ca_file = TLS / certificate if is_trusted else None
        error = await refusal(server.port, tls=tls, ca_file=ca_file)

    assert str(error).startswith(f"could not be reached: {words}")
    assert (error.reason, error.remedy) == (AttemptReason.NETWORK, Remedy.RETRY)


async def test_a_port_that_does_not_begin_with_tls_is_said():
    with MailServer() as server:
        error = await refusal(server.port, tls="tls")

    assert str(error).endswith("does not begin with TLS; tls: starttls may be what it takes")


@pytest.mark.slow
@pytest.mark.parametrize("tls", ["starttls", "none"])
async def test_a_port_that_begins_with_tls_is_said(tls):
    with MailServer(tls="tls") as server:
        error = await refusal(server.port, tls=tls, timeout=SOON)

    assert str(error).endswith("check the port: one that begins with TLS, as 465, needs tls: tls")
    assert not error.ambiguous


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "its name could not be resolved"),
        ("127.0.0.1", "the connection was refused"),
    ],
)
async def test_why_a_server_cannot_be_reached_is_said(answer, words, resolve):
    resolve(answer)

    error = await refusal(free_port(), host="mail.example.com")

    assert str(error).startswith(f"could not be reached: {words}")
    assert (error.reason, error.remedy) == (AttemptReason.NETWORK, Remedy.RETRY)
    assert not error.ambiguous


# ── greetings ────────────────────────────────────────────────────────────────────────────────────


def takes(*names):
    """Answer EHLO as a strict server does that takes these names."""
    refusal = ["504 5.5.2 <name>: need fully-qualified hostname"]
    return lambda name, lines: lines if name in names else refusal


@pytest.fixture
def no_dns(monkeypatch):
    """Whoever asks for the full name of this host waits for too long."""
    monkeypatch.setattr(socket, "getfqdn", lambda *_: time.sleep(3) or "host")


@pytest.mark.usefixtures("no_dns")
@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mail.example.org", "mail.example.org"),
        ("5c2f0d1e9a7b", "[127.0.0.1]"),
        ("localhost.localdomain", "[127.0.0.1]"),
        ("a host.example", "[127.0.0.1]"),
    ],
)
async def test_the_server_is_greeted_by_a_name_that_strict_ones_take(monkeypatch, host, name):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with MailServer() as server:
        await send(server.port)

    assert server.inbox.hellos == [name]


@pytest.mark.parametrize(
    ("values", "taken", "names"),
    [
        ({}, "example.com", ["box.local", "[127.0.0.1]", "example.com"]),
        ({}, "[127.0.0.1]", ["box.local", "[127.0.0.1]"]),
        ({"hello": "mx.bücher.example"}, "mx.xn--bcher-kva.example", ["mx.xn--bcher-kva.example"]),
        ({"hello": "[192.0.2.1]"}, "[192.0.2.1]", ["[192.0.2.1]"]),
    ],
)
async def test_a_name_that_a_server_refuses_is_followed_by_another(
    monkeypatch, values, taken, names
):
    monkeypatch.setattr(socket, "gethostname", lambda: "box.local")
    with MailServer() as server:
        server.inbox.answer_ehlo = takes(taken)
        await send(server.port, **values)

    assert server.inbox.hellos == names
    assert len(server.inbox.mails) == 1


async def test_a_refused_greeting_is_not_blamed_on_the_sender():
    with MailServer() as server:
        server.inbox.answer_ehlo = takes("another.example.com")
        error = await refusal(server.port, hello="box")

    assert str(error) == (
        "the server refused the name that it is greeted with (SMTP 504 5.5.2);"
        " set hello to one it takes"
    )
    assert error.remedy is Remedy.MEND
    assert server.inbox.hellos == ["box"]


async def test_a_server_that_knows_no_ehlo_gets_mail_too():
    with MailServer() as server:
        server.inbox.answer_ehlo = lambda *_: ["502 5.5.1 command not recognized"]
        await send(server.port, hello="box.example.com")

    assert len(server.inbox.mails) == 1


@pytest.mark.parametrize("hello", ["", "a b", "a\r\nRCPT", "[x]", "[::1", "a.example:25"])
def test_what_is_no_name_for_a_greeting_is_refused(hello):
    with pytest.raises(ValidationError, match="is no domain such as"):
        SmtpSettings(name="mail", type="email", host="mail.example.com", hello=hello)


# ── what can be read on the way ──────────────────────────────────────────────────────────────────

REMOTE = {"name": "mail", "type": "email", "host": "192.0.2.1", "tls": "none"}


@pytest.mark.parametrize("host", ["192.0.2.1", "mail.example.com", "localhost.example.com"])
def test_a_password_is_not_sent_in_clear_unless_that_is_allowed(host):
    values = {**REMOTE, "host": host, **LOGIN}
    with pytest.raises(ValidationError, match="sends its password in clear") as caught:
        SmtpSettings.model_validate(values)
    assert PASSWORD not in str(caught.value)

    assert not SmtpSettings.model_validate(values | {"insecure": True}).oddities
    for tls in ("tls", "starttls"):
        assert not SmtpSettings.model_validate(values | {"tls": tls}).oddities


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_password_may_be_sent_in_clear_to_this_machine(host):
    assert not SmtpSettings.model_validate({**REMOTE, "host": host, **LOGIN}).oddities


def test_mail_that_can_be_read_on_the_way_is_odd():
    assert SmtpSettings.model_validate(REMOTE).oddities.keys() == {"tls"}
    assert not SmtpSettings.model_validate(REMOTE | {"insecure": True}).oddities


@pytest.mark.parametrize(
    ("tls", "is_doubtful"), [("starttls", False), ("tls", False), ("none", True)]
)
async def test_what_is_refused_in_clear_may_be_the_word_of_somebody_on_the_way(tls, is_doubtful):
    with MailServer(tls=tls) as server:
        server.inbox.replies["mail"] = "550 5.7.1 no"
        error = await refusal(server.port, tls=tls, ca_file=TLS / "localhost.pem")

    assert (error.doubtful, error.remedy) == (is_doubtful, Remedy.MEND)


# ── what a server offers ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("methods", "text"),
    [
        ("XOAUTH2 OAUTHBEARER", "the server takes no password, only OAUTHBEARER, XOAUTH2, which"),
        ("ops@example.com", "the server offers no login over this connection"),
    ],
)
async def test_a_server_that_takes_no_passwords_is_told_apart(methods, text):
    with MailServer(password=PASSWORD) as server:
        server.inbox.answer_ehlo = lambda _, lines: [
            f"250-AUTH {methods}" if line.startswith("250-AUTH") else line for line in lines
        ]
        error = await refusal(server.port, **LOGIN)

    assert str(error).startswith(text)
    assert (error.reason, error.remedy) == (AttemptReason.AUTH, Remedy.MEND)


@pytest.mark.parametrize(
    ("values", "text", "reason"),
    [
        (
            {"tls": "starttls"},
            "the server offers no STARTTLS; another port may (587), or one with tls: tls (465)",
            AttemptReason.CLIENT,
        ),
        (LOGIN, "the server offers no login over this connection", AttemptReason.AUTH),
    ],
)
async def test_a_server_that_lacks_what_is_needed_gets_no_mail(values, text, reason):
    with MailServer() as server:
        error = await refusal(server.port, **values)

    assert (str(error), error.reason, error.remedy) == (text, reason, Remedy.MEND)
    assert error.doubtful
    assert not server.inbox.mails


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [(None, Remedy.MEND), ("454 4.7.0 later", Remedy.RETRY)],
    ids=["wrong password", "later"],
)
async def test_a_login_that_fails_has_to_be_mended_unless_the_server_says_later(reply, remedy):
    with MailServer(password="another", auth_reply=reply) as server:
        error = await refusal(server.port, **LOGIN)

    assert (error.reason, error.remedy) == (AttemptReason.AUTH, remedy)


AUTH = (530, 534, 535, 538)
"""The codes of RFC 4954 and RFC 3207 by which a server wants a login, or another one."""


@pytest.mark.parametrize(("step", "refused"), [("mail", Remedy.MEND), ("data", Remedy.DROP)])
@pytest.mark.parametrize(
    ("reply", "reason", "remedy"),
    [
        ("451 4.3.0 ops@example.com later", AttemptReason.SERVER, Remedy.RETRY),
        ("550 5.1.1 ops@example.com no", AttemptReason.CLIENT, None),
        *((f"{code} 5.7.0 login first", AttemptReason.AUTH, Remedy.MEND) for code in AUTH),
    ],
)
async def test_the_code_of_a_reply_and_its_step_decide(step, refused, reply, reason, remedy):
    with MailServer() as server:
        server.inbox.replies[step] = reply
        error = await refusal(server.port)

    assert (error.reason, error.remedy) == (reason, remedy or refused)
    assert not error.ambiguous
    assert reply[:3] in str(error)


async def test_an_address_that_cannot_be_written_to_the_server_makes_the_mail_wrong():
    with MailServer() as server:
        error = await refusal(server.port, recipients=["jörg@example.com"])

    assert str(error) == "the mail could not be sent: UnicodeEncodeError"
    assert (error.reason, error.remedy) == (AttemptReason.CLIENT, Remedy.DROP)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "535 5.7.139 ops@example.com: basic authentication is disabled",
            "535 5.7.139); it takes OAuth",
        ),
        ("550 5.7.30 Basic authentication is not supported", "550 5.7.30); it takes OAuth"),
        ("534 5.7.9 Application-specific password required", "534 5.7.9); it takes a password for"),
        ("550 5.7.1 ops@example.com", "550 5.7.1)"),
        ("550 192.0.2.1 is listed", "550)"),
        ("550 5.7.1.example.com", "550)"),
    ],
)
async def test_the_status_of_a_reply_is_said_and_none_of_its_other_words(words, text):
    with MailServer() as server:
        server.inbox.replies["mail"] = words
        error = await refusal(server.port)

    assert str(error).startswith(f"the sender was refused (SMTP {text}")
    assert error.remedy is Remedy.MEND


@pytest.mark.parametrize("reply", ["251 whatever", "350 whatever", "HTTP/1.1 400 Bad Request"])
async def test_an_answer_to_the_content_that_makes_no_sense_is_ambiguous(reply):
    with MailServer() as server:
        server.inbox.replies["data"] = reply
        error = await refusal(server.port)

    assert str(error) == "the server's answer makes no sense; it may have arrived"
    assert error.ambiguous


async def test_one_refused_recipient_does_not_keep_the_mail_from_the_others():
    with MailServer() as server:
        server.inbox.replies["gone@example.com"] = "550 5.1.1 gone@example.com is unknown"
        refusals = await send(server.port, recipients=["gone@example.com", RECIPIENT])

    assert refusals == {"gone@example.com": 550}
    assert server.inbox.recipients == [[RECIPIENT]]


@pytest.mark.parametrize(
    ("fault", "reason", "text"),
    [
        ("break_off", AttemptReason.NETWORK, "the connection broke off"),
        pytest.param(
            "hang", AttemptReason.TIMEOUT, "gave no answer in time", marks=pytest.mark.slow
        ),
    ],
)
async def test_no_answer_to_the_content_is_ambiguous(fault, reason, text):
    with MailServer() as server:
        setattr(server.inbox, fault, True)
        error = await refusal(server.port)

    assert (error.reason, error.ambiguous) == (reason, True)
    assert str(error) == f"{text}; it may have arrived"


async def test_a_goodbye_that_fails_does_not_undo_what_was_accepted():
    with MailServer() as server:
        server.inbox.replies["quit"] = "451 4.3.0 later"
        await send(server.port)

    assert len(server.inbox.mails) == 1


@pytest.mark.slow
async def test_a_server_that_does_not_answer_a_goodbye_has_taken_the_mail():
    with MailServer() as server:
        server.inbox.replies["quit"] = "hang"
        await send(server.port, timeout=SOON)

    assert len(server.inbox.mails) == 1


async def test_a_connection_that_breaks_off_before_the_content_is_no_ambiguity():
    with MailServer() as server:
        server.inbox.replies["rcpt"] = "abort"
        error = await refusal(server.port)

    assert str(error) == "the connection broke off, before the mail was sent"
    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, False)


async def test_an_answer_that_is_not_smtp_may_pass():
    async def greet(_, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        error = await refusal(server.sockets[0].getsockname()[1])

    assert str(error) == "the server takes no mail (an answer that is not SMTP)"
    assert (error.reason, error.remedy) == (AttemptReason.SERVER, Remedy.RETRY)

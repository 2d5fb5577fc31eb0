"""What an attempt to send a mail means, by how a real server behaves."""

import re
import socket

import pytest
from harness.program import free_port
from harness.receivers import TIMEOUT, MailServer
from pydantic import ValidationError

from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.notifiers._smtp import SmtpServer, SmtpSettings

PASSWORD = "hunter2hunter2"
LOGIN = {"username": "ops", "password": PASSWORD}
SENDER, RECIPIENT = "monitor@example.com", "ops@example.com"


async def send(port, *, recipients=(RECIPIENT,), **values):
    settings = SmtpSettings.model_validate(
        {"name": "mail", "type": "email", "host": "127.0.0.1", "port": port, "tls": "none"} | values
    )
    server = SmtpServer(settings, timeout=TIMEOUT)
    return await server.send(b"Subject: x\r\n\r\nA mail.\r\n", sender=SENDER, recipients=recipients)


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


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_unknown_certificate_is_not_trusted(tls):
    with MailServer(tls=tls) as server:
        error = await refusal(server.port, tls=tls)

    assert str(error) == "the certificate of the server is not trusted"
    assert (error.reason, error.remedy) == (AttemptReason.NETWORK, Remedy.RETRY)


@pytest.mark.parametrize(
    ("values", "text", "reason"),
    [
        ({"tls": "starttls"}, "the server offers no STARTTLS", AttemptReason.CLIENT),
        (LOGIN, "the server offers no login over this connection", AttemptReason.AUTH),
    ],
)
async def test_a_server_that_lacks_what_is_needed_gets_no_mail(values, text, reason):
    with MailServer() as server:
        error = await refusal(server.port, **values)

    assert (str(error), error.reason, error.remedy) == (text, reason, Remedy.MEND)
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
        pytest.param("hang", AttemptReason.TIMEOUT, "no answer in time", marks=pytest.mark.slow),
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
async def test_a_server_that_is_dead_or_never_greets_is_no_ambiguity():
    dead = await refusal(free_port())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = await refusal(silent.getsockname()[1])

    assert (dead.reason, dead.ambiguous) == (late.reason, late.ambiguous)
    assert (late.reason, late.ambiguous) == (AttemptReason.NETWORK, False)
    assert str(dead).startswith("could not be reached")
    assert str(late).startswith("could not be reached: no connection in time")

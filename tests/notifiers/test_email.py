"""Mails as a real server gets them."""

import re
import socket

import pytest
import structlog
from harness.notifications import message, notification
from harness.receivers import MailServer, closed_port, make_certificate
from pydantic import ValidationError

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, MonitorError
from monitor.core.model import EventType
from monitor.notifiers import email

PASSWORD = "hunter2hunter2"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def settings(**values):
    return email.Settings.model_validate(
        {
            "name": "mail",
            "type": "email",
            "host": "127.0.0.1",
            "tls": "none",
            "from": "Monitor <monitor@example.com>",
            "to": ["ops@example.com"],
            **values,
        }
    )


async def send(*notifications, told=None, patience="1s", **values):
    notifier = email.Notifier(
        settings(**values), http=None, timezone="Europe/Berlin", timeout=Duration.parse(patience)
    )
    await notifier.send(told or message(*notifications))


async def refusal(**values):
    with pytest.raises(DeliveryError) as caught:
        await send(**values)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not re.search(r"example|127\.0\.0\.1|hunter", repr((error, vars(error))))
    return error


async def test_the_mails_of_an_incident_make_one_thread():
    with MailServer() as server:
        await send(port=server.port)
        await send(
            port=server.port,
            told=message(
                notification(EventType.RESOLVED), id_="3b7c0d1e-0000-4000-8000-000000000002"
            ),
        )

    opening, resolution = server.inbox.mails
    assert opening["references"] == resolution["references"] == resolution["in-reply-to"]
    assert resolution["subject"] == f"Re: {opening['subject']}"
    assert opening["message-id"] != resolution["message-id"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_leaves_encrypted_and_with_a_login(certificate, tls):
    with MailServer(tls=tls, certificate=certificate, password=PASSWORD) as server:
        await send(
            port=server.port,
            tls=tls,
            ca_file=certificate.cert,
            username="ops",
            password=PASSWORD,
        )

    assert len(server.inbox.mails) == 1
    assert server.inbox.logins == ["ops"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_unknown_certificate_is_not_trusted(certificate, tls):
    with MailServer(tls=tls, certificate=certificate) as server:
        error = await refusal(port=server.port, tls=tls)

    assert str(error) == "the certificate of the server is not trusted"
    assert (error.reason, error.permanent) == (AttemptReason.NETWORK, False)


async def test_a_server_without_starttls_gets_no_mail():
    with MailServer() as server:
        error = await refusal(port=server.port, tls="starttls")

    assert str(error) == "the server offers no STARTTLS"
    assert error.permanent
    assert not server.inbox.mails


async def test_a_wrong_password_is_for_good():
    with MailServer(password="another") as server:
        error = await refusal(port=server.port, username="ops", password=PASSWORD)

    assert (error.reason, error.permanent) == (AttemptReason.AUTH, True)


async def test_a_login_that_fails_for_now_is_tried_again():
    with MailServer(password=PASSWORD, auth_reply="454 4.7.0 later") as server:
        error = await refusal(port=server.port, username="ops", password=PASSWORD)

    assert (error.reason, error.permanent) == (AttemptReason.AUTH, False)


async def test_a_server_without_logins_is_for_good():
    with MailServer() as server:
        error = await refusal(port=server.port, username="ops", password=PASSWORD)

    assert (error.reason, error.permanent) == (AttemptReason.AUTH, True)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    ("reply", "reason", "permanent"),
    [
        ("451 4.3.0 ops@example.com later", AttemptReason.SERVER, False),
        ("550 5.1.1 ops@example.com no", AttemptReason.CLIENT, True),
        ("530 5.7.0 login first", AttemptReason.AUTH, True),
    ],
)
async def test_the_code_of_a_reply_decides(stage, reply, reason, permanent):
    with MailServer() as server:
        server.inbox.replies[stage] = reply
        error = await refusal(port=server.port)

    assert (error.reason, error.permanent, error.ambiguous) == (reason, permanent, False)
    assert reply[:3] in str(error)


async def test_one_refused_recipient_does_not_keep_the_mail_from_the_others():
    with MailServer() as server, structlog.testing.capture_logs() as lines:
        server.inbox.replies["gone@example.com"] = "550 5.1.1 gone@example.com is unknown"
        await send(port=server.port, to=["gone@example.com", "ops@example.com"])

    assert server.inbox.recipients == [["ops@example.com"]]
    assert [line["codes"] for line in lines] == [[550]]
    assert "example" not in repr(lines)


async def test_a_connection_lost_after_the_content_is_ambiguous():
    with MailServer() as server:
        server.inbox.break_off = True
        error = await refusal(port=server.port)

    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, True)


async def test_no_answer_to_the_content_is_ambiguous():
    with MailServer() as server:
        server.inbox.hang = True
        error = await refusal(port=server.port, patience="300ms")

    assert (error.reason, error.ambiguous) == (AttemptReason.TIMEOUT, True)


async def test_a_dead_server_is_no_ambiguity():
    error = await refusal(port=closed_port())

    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, False)


async def test_a_server_that_never_greets_is_no_ambiguity():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refusal(port=silent.getsockname()[1], patience="300ms")

    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, False)
    assert str(error) == "could not be reached in time"


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
        {"timezone": "Mars/Olympus"},
    ],
)
def test_settings_that_cannot_work_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        settings(**values)

    assert PASSWORD not in str(caught.value)


def test_a_certificate_that_cannot_be_read_is_said_at_once(tmp_path):
    with pytest.raises(MonitorError, match=r"receiver mail: ca_file .* cannot be used"):
        email.Notifier(settings(tls="tls", ca_file=tmp_path / "no"), http=None, timezone="UTC")


# ── recipients that a label names ────────────────────────────────────────────────────────────────

OWNER = {"label": "owner"}


async def test_a_mail_goes_to_the_address_in_the_label_of_its_accounts():
    jane = notification(labels={"owner": "Jane <jane@example.com>", "team": "growth"})
    joe = notification(labels={"owner": "joe@example.com"})
    with MailServer() as server:
        await send(jane, jane, port=server.port, to=OWNER)
        await send(joe, port=server.port, to=OWNER)

    assert server.inbox.recipients == [["jane@example.com"], ["joe@example.com"]]
    assert [mail["to"] for mail in server.inbox.mails] == [
        *("Jane <jane@example.com>", "joe@example.com"),
    ]
    assert server.inbox.mails[0]["from"] == "Monitor <monitor@example.com>"


async def test_an_account_without_the_label_is_for_good_and_says_so():
    with MailServer() as server:
        error = await refusal(port=server.port, to=OWNER)

    assert str(error) == "there is no label 'owner' that says whom to write to"
    assert (error.reason, error.permanent, error.ambiguous) == (AttemptReason.CLIENT, True, False)
    assert not server.inbox.mails


@pytest.mark.parametrize("labels", [{}, {"Owner": "jane@example.com"}])
async def test_only_the_label_itself_counts(labels):
    with MailServer() as server, pytest.raises(DeliveryError):
        await send(notification(labels=labels), port=server.port, to=OWNER)

    assert not server.inbox.mails


async def test_a_test_message_goes_to_its_own_sender():
    made = settings(to=OWNER)
    with MailServer() as server:
        told = notification(
            EventType.NOTICE, labels=made.sample_labels, account=None, detail="A test."
        )
        await send(told, port=server.port, to=OWNER)

    assert server.inbox.recipients == [["monitor@example.com"]]


def test_only_a_receiver_without_addresses_of_its_own_has_a_label():
    assert (settings(to=OWNER).address_label, settings().address_label) == ("owner", None)
    assert settings().sample_labels == {}


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
        settings(to=OWNER).check_address(address)


@pytest.mark.parametrize(
    "to", [{}, {"label": ""}, {"label": 5}, {"lable": "owner"}, {"label": "a", "x": "b"}, "ops"]
)
def test_recipients_are_a_list_or_a_label(to):
    with pytest.raises(ValidationError):
        settings(to=to)

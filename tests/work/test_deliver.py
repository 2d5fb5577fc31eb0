"""Deliveries: a receiver of the test's own, everything else real."""

import asyncio
import math
from dataclasses import replace

import pytest
import structlog
from harness.core import HOUR, MINUTE, REJECTED, listed_account, signed_out
from harness.delivery import DeliveryHarness, Pager
from harness.faults import lost_answers
from harness.notifications import message
from harness.raw_server import TLS
from harness.receivers import MailServer, mail_settings
from harness.store import LATER, REFUSED, WRONG

from monitor.core.backoff import UNANSWERED_WAIT
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.receipt import Receipt
from monitor.core.render import Style
from monitor.core.route import Receiver
from monitor.notifiers import email
from monitor.store.db import StoreError
from monitor.work import deliver

SLOW = DeliveryError(
    "try later",
    reason=AttemptReason.RATE_LIMITED,
    retry_after=Duration.parse("10m"),
)


@pytest.fixture
def harness(store):
    return DeliveryHarness(store)


async def test_what_is_queued_is_sent_and_settled(harness):
    harness.poll(signed_out())

    assert await harness.send(after=MINUTE) == [("opened", "delivered")]
    assert await harness.send() is None
    assert harness.metric('linkedapi_notification_latency_seconds_sum{type="slack"} 60.0')
    assert harness.pager.messages[0].notifications[0].event == "opened"


@pytest.mark.parametrize(
    ("reason", "remedy", "is_refused"),
    [
        (AttemptReason.AUTH, Remedy.RETRY, True),
        (AttemptReason.CLIENT, Remedy.MEND, True),
        (AttemptReason.CLIENT, Remedy.DROP, False),
        (AttemptReason.SERVER, Remedy.RETRY, False),
    ],
)
async def test_who_is_to_be_mended_is_named_once_an_attempt(harness, reason, remedy, is_refused):
    refused = []
    harness.deliverer.refused = refused.append
    harness.poll(signed_out())
    harness.pager.replies = [DeliveryError("no", reason=reason, remedy=remedy)]

    await harness.send()

    assert refused == ["slack"] * is_refused


@pytest.mark.parametrize("error", [REFUSED, ValueError("https://hooks.example.com/secret")])
async def test_an_error_or_a_bug_is_tried_again_under_the_same_id(harness, capsys, error):
    harness.poll(signed_out())
    harness.pager.replies = [error]

    assert await harness.send() == []
    assert await harness.send() is None
    wait = UNANSWERED_WAIT if error is not REFUSED else Duration.parse("5s")
    assert harness.next_at == harness.now + wait
    assert await harness.send(after=HOUR) == [("opened", "delivered")]

    reason = "server" if error is REFUSED else "client"
    assert harness.metric(f'receiver="slack",type="slack",reason="{reason}"}} 1')
    assert len({message.id for message in harness.pager.messages}) == 1
    assert "secret" not in capsys.readouterr().out


async def test_a_receiver_that_asks_for_time_is_left_alone_altogether(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(signed_out("a"), listed_account("b"))
    harness.pager.replies = [SLOW]
    await harness.send()

    harness.poll(signed_out("a"), signed_out("b"), after=1)

    assert await harness.send() is None
    assert harness.next_at == harness.now + Duration.parse("10m") - 1
    assert await harness.send(after=Duration.parse("11m")) == [("opened", "delivered")]


@pytest.mark.parametrize("circuit_open_until", [0.0, math.inf], ids=["works", "was failing"])
@pytest.mark.case("database away while a message leaves")
async def test_a_send_that_was_cut_short_counts_as_heard_and_is_repeated(
    harness, store, circuit_open_until
):
    harness.poll(signed_out())
    harness.pager.replies = ["hang"]
    sending = asyncio.create_task(harness.send())
    await harness.pager.entered.wait()
    store._circuit_open_until = circuit_open_until

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert harness.heard() == [["slack"]]
    store._circuit_open_until = 0.0
    assert await harness.send(after=HOUR) == [("opened", "delivered")]
    assert len({message.id for message in harness.pager.messages}) == 1


async def delivered(harness):
    """Send what is queued; return what the log says of it."""
    with structlog.testing.capture_logs() as logs:
        await harness.send()
    keys = ("events", "workspace", "incident", "account_name", "notifications")
    return [
        {key: entry[key] for key in keys if key in entry}
        for entry in logs
        if entry["event"] == "delivered"
    ]


async def test_the_log_says_whom_a_delivery_is_about(harness):
    harness.poll(signed_out("a", name="Dana\x1b[2J Doe"))

    (incident,) = harness.column("SELECT id FROM incident")
    about = {"workspace": "acme", "incident": incident, "account_name": "Dana [2J Doe"}
    assert await delivered(harness) == [{"events": ["opened"], **about}]


async def test_of_many_the_log_names_the_first_and_says_how_many_there_are(harness):
    harness.poll(*(signed_out(id_) for id_ in "abcdefgh"))

    (about,) = await delivered(harness)

    assert about["account_name"] == "Person a"
    assert about["notifications"] == 8


async def test_what_is_a_line_of_the_log_itself_makes_no_second_one(harness):
    harness.poll(signed_out())
    harness.deliverer.receiver = replace(harness.deliverer.receiver, is_log=True)

    assert await delivered(harness) == []
    assert harness.states()[0][2] == "delivered"


async def test_a_failing_receiver_is_logged_once_and_once_when_it_works_again(harness, capsys):
    harness.poll(signed_out())
    harness.pager.replies = [REFUSED] * 3

    for _ in range(4):
        await harness.send(after=HOUR)

    log = capsys.readouterr().out
    assert log.count("will try again") == 1
    assert log.count("works again") == 1


async def test_what_is_cancelled_on_the_way_is_reported(harness):
    harness.poll(signed_out())
    claimed = harness.claim()
    harness.poll(listed_account(), after=1)
    harness.settle(claimed, REFUSED)

    assert await harness.send(after=HOUR) == [("opened", "cancelled"), ("resolved", "cancelled")]


async def test_only_openings_of_accounts_are_recoveries_that_people_were_notified_of(harness):
    harness.poll(signed_out())
    await harness.send(after=MINUTE)
    harness.poll(listed_account())
    await harness.send()
    for _ in range(2):
        harness.observe(REJECTED)
    assert await harness.send() == [("opened", "delivered")]

    assert harness.metric('linkedapi_recovery_seconds_count{phase="notified"} 1')
    assert harness.metric('linkedapi_recovery_seconds_sum{phase="notified"} 60.0')


async def test_no_time_is_negative_when_the_clock_goes_back_during_a_send(harness):
    class ClockGoesBack(Pager):
        async def send(self, message):
            harness.now -= HOUR
            await super().send(message)

    harness.deliverer.notifier = ClockGoesBack()
    harness.poll(signed_out())

    assert await harness.send() == [("opened", "delivered")]

    assert harness.metric('linkedapi_notification_latency_seconds_sum{type="slack"} 0.0\n')
    assert harness.metric('linkedapi_recovery_seconds_sum{phase="notified"} 0.0\n')


async def test_a_notice_without_an_incident_may_be_refused_too(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))
    harness.pager.replies = [WRONG]

    assert await harness.send() == [("notice", "dead")]


@pytest.mark.case("database away while a message leaves")
async def test_what_was_claimed_without_an_answer_is_sent_once_its_claim_has_lapsed(harness, store):
    harness.poll(signed_out())
    with lost_answers(store), pytest.raises(StoreError):
        await harness.send()
    lapse_at = harness.now + harness.deliverer.lease

    harness.poll(signed_out(), signed_out("a2"), after=1)
    sending = await harness.deliverer.claim()
    assert [told.account.id for told in sending.message.notifications] == ["a2"]
    assert await harness.send() is None
    assert harness.next_at == lapse_at
    assert await harness.send(after=HOUR) is None
    assert await harness.send() == [("opened", "delivered")]
    assert await harness.send() is None  # the other one is still being sent


@pytest.mark.case("database away while a message leaves")
async def test_what_was_claimed_before_the_monitor_stood_still_is_looked_at_again(harness):
    harness.poll(signed_out())
    claimed = await harness.deliverer.claim()
    harness.now += Duration.parse("90s")

    assert await harness.deliverer.send(claimed, claimed.message) == []
    assert harness.pager.messages == []

    assert await harness.send(after=MINUTE) is None, "its claim has lapsed"
    assert await harness.send() == [("opened", "delivered")]
    assert [message.id for message in harness.pager.messages] == [claimed.message.id]


async def test_what_had_failed_and_was_claimed_without_an_answer_is_sent_too(harness, store):
    harness.poll(signed_out())
    harness.pager.replies = [REFUSED]
    assert await harness.send() == []
    with lost_answers(store), pytest.raises(StoreError):
        await harness.send(after=HOUR)

    assert await harness.send() is None
    assert await harness.send(after=HOUR) is None
    assert await harness.send() == [("opened", "delivered")]


@pytest.mark.parametrize("post", [{"ts": "1"}, object()], ids=["a post", "no JSON"])
async def test_a_send_is_settled_whatever_its_notifier_brings_back(harness, monkeypatch, post):
    async def send(_):
        return Receipt(post=post)

    monkeypatch.setattr(harness.pager, "send", send)
    harness.poll(signed_out())

    assert await harness.send() == [("opened", "delivered")]

    posts = [] if type(post) is object else ['{"ts": "1"}']
    assert harness.column("SELECT receipt FROM post") == posts


@pytest.mark.parametrize(
    "receipt", [{"accepted": (b"ops",)}, {"refused": (None,)}, {"failure": ValueError("no")}]
)
async def test_a_receipt_that_is_none_is_a_fault_of_its_notifier(harness, monkeypatch, receipt):
    async def send(_):
        return Receipt(**{"failure": LATER, **receipt})

    with monkeypatch.context() as patched:
        patched.setattr(harness.pager, "send", send)
        harness.poll(signed_out())
        assert await harness.send() == []

    assert harness.column("SELECT answer FROM attempt") == ["the notifier failed: TypeError"]
    assert await harness.send(after=HOUR) == [("opened", "delivered")]


async def test_a_message_that_cannot_be_written_is_tried_again_and_not_lost(harness, monkeypatch):
    harness.poll(signed_out())
    monkeypatch.setattr("monitor.work.deliver.render", lambda *_, **__: 1 / 0)
    harness.pager.replies = [ValueError("a bug")]

    assert await harness.send() == []

    assert await harness.send(after=HOUR) == [("opened", "delivered")]


# ── several addresses ────────────────────────────────────────────────────────────────────────────


async def test_who_is_greylisted_gets_the_mail_later_and_alone(harness, capsys):
    ops, boss, gone = "ops@example.com", "boss@example.com", "gone@example.com"
    with MailServer() as server:
        settings = mail_settings(port=server.port, to=[ops, boss, gone])
        harness.deliverer.notifier = email.Notifier(settings, http=None, style=Style())
        server.inbox.replies |= {boss: "450 4.2.0 greylisted", gone: "550 5.1.1 gone@example.com"}
        harness.poll(signed_out())

        assert await harness.send(after=MINUTE) == []
        assert await harness.send(after=MINUTE) == []
        del server.inbox.replies[boss]
        assert await harness.send(after=MINUTE) == [("opened", "delivered")]

    assert server.inbox.recipients == [[ops], [boss]]
    assert len({mail["message-id"] for mail in server.inbox.mails}) == 1
    for reason, count in (("client", 1), ("server", 1), ("ok", 1)):
        assert harness.metric(f'receiver="slack",type="slack",reason="{reason}"}} {count}')
    assert harness.metric('linkedapi_notification_latency_seconds_count{type="slack"} 1')
    log = capsys.readouterr().out
    assert log.count("recipients refused: 1 for good and 1 for now, of 3 (SMTP 450, 550)") == 1
    assert log.count("recipients refused") == 1  # and not at every attempt that changed nothing
    assert "example" not in log


async def test_a_claim_holds_ten_seconds_longer_than_an_attempt_may_take(harness):
    harness.deliverer.timeout = MINUTE
    harness.poll(signed_out())

    await harness.deliverer.claim()

    assert harness.column("SELECT claimed_until FROM message") == [harness.now + 70_000_000]


async def test_a_notifier_that_does_not_end_is_ended(harness, monkeypatch):
    monkeypatch.setattr(deliver, "ENDING", Duration(0))
    harness.pager.replies = ["hang"]

    error = await deliver.attempt(harness.pager, message(), limit=Duration.parse("10ms"))

    assert str(error) == "gave no answer in time"
    assert error.ambiguous


async def test_a_starttls_that_somebody_strips_for_a_moment_costs_nothing_but_that(harness):
    harness.deliverer.rules = replace(harness.deliverer.rules, fallback=Receiver("mail"))
    with MailServer(tls="starttls") as server:
        settings = mail_settings(port=server.port, tls="starttls", ca_file=TLS / "localhost.pem")
        harness.deliverer.notifier = email.Notifier(settings, http=None, style=Style())
        server.inbox.answer_ehlo = lambda _, lines: [
            line for line in lines if "STARTTLS" not in line
        ]
        harness.poll(signed_out())
        assert await harness.send() == []
        assert await harness.send() is None

        server.inbox.answer_ehlo = lambda _, lines: lines
        assert await harness.send(after=MINUTE) == [("opened", "delivered")]

    assert harness.claim("mail", after=HOUR).message is None

"""Messages to the letter, as each kind of receiver gets them: `__snapshots__/test_messages`.

A change of wording shows there: `pytest tests/notifiers/test_messages.py --snapshot-update`.
"""

import json
from dataclasses import replace

import pytest
from harness.core import MINUTE, NOON
from harness.notifications import NAMES, account, message, notification, undelivered
from harness.receivers import receiver
from harness.snapshots import HtmlFile, JsonFile, TextFile

from monitor.core.model import Cause, EventType, Status

HEADERS = (
    *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Thread-Index"),
    *("Auto-Submitted", "X-Auto-Response-Suppress"),
)


def people(count, event=EventType.OPENED, cause=Cause.RECONNECTION_REQUIRED, **fields):
    """The same of several accounts."""
    for number in range(1, count + 1):
        name = f"{cause.title()} {number}"
        status = Status(cause) if event is EventType.OPENED else Status.ACTIVE
        person = account(name, id_=f"{cause[:4]}-{number}", status=status)
        yield notification(event, cause, person=person, **fields)


def with_incident(case, **changes):
    return replace(case, incident=replace(case.incident, **changes))


HOSTILE = "<b>Jane</b>\r\nBcc: e@example.com <!channel> *x* @here {{ 7*7 }} \u202eenaJ"
SENTENCE = "Bob” is active again. Log in at evil.example/x, https://t.co/x or e@evil.example “Jane"
SINGLE = {
    "opened": notification(),
    "opened-without-link": notification(link=None),
    "opened-with-link-withheld": notification(link=None, link_withheld=True),
    "opened-workspace": notification(cause=Cause.UNREACHABLE),
    "opened-this-minute": with_incident(notification(), cause_since=NOON - MINUTE + 1),
    "opened-acknowledged": with_incident(notification(), acknowledged_by="ops"),
    "opened-for-the-fallback": notification(undelivered=undelivered("ops-slack")),
    "opened-hostile": notification(
        cause=Cause.UNKNOWN,
        person=account(HOSTILE, raw_status=HOSTILE, url=HOSTILE, status=Status.UNKNOWN),
        labels={HOSTILE: HOSTILE},
        undelivered=undelivered(HOSTILE, HOSTILE),
    ),
    "opened-sentence": notification(
        person=account(SENTENCE, url="https://www.linkedin.com/redir/redirect?url=evil.example"),
        labels={"owner": "jane@example.com"},
    ),
    "opened-arabic": notification(person=account(NAMES["Arabic"])),
    "changed": notification(EventType.CHANGED, Cause.FROZEN),
    "changed-workspace": notification(EventType.CHANGED, Cause.TOKEN_REJECTED),
    "reminded": notification(EventType.REMINDED),
    "resolved": notification(EventType.RESOLVED),
    "resolved-workspace": notification(EventType.RESOLVED, Cause.UNREACHABLE),
    "notice-disappeared": notification(EventType.NOTICE, detail="disappeared"),
    "notice-test": notification(EventType.NOTICE, account=None, workspace="", detail="A test."),
}
GROUPS = {
    "group-of-many-kinds": (
        *people(11),
        *people(2, link=None),
        notification(cause=Cause.BAD_RESPONSE),
        *people(8, cause=Cause.FROZEN, undelivered=undelivered("ops-slack")),
        *people(1, EventType.RESOLVED, cause=Cause.FLAPPING),
        *(
            notification(EventType.NOTICE, person=account(f"Gone {n}"), detail="disappeared")
            for n in range(3)
        ),
    ),
    "group-of-two-workspaces": (
        notification(person=account(id_="aaaaaaaa-1"), workspace="acme"),
        notification(person=account(id_="bbbbbbbb-2"), workspace="globex"),
    ),
}
MESSAGES = {name: message(case) for name, case in SINGLE.items()} | {
    name: message(*cases) for name, cases in GROUPS.items()
}

SAME_MAIL = ("opened-without-link", "opened-workspace", "changed", "reminded")  # as others look
PAGES = (
    *("opened", "opened-hostile", "opened-sentence", "resolved", "notice-test"),
    "group-of-many-kinds",
)
BLOCKS = ("opened", "opened-hostile", "opened-sentence", "resolved", "group-of-many-kinds")
EVENTS = (
    *("opened", "opened-workspace", "opened-hostile", "changed", "resolved"),
    *("notice-disappeared", "notice-test"),
)


async def mail(name):
    async with receiver("email", timezone="Europe/Berlin") as harness:
        return await harness.send(MESSAGES[name])


def content(mail, kind):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("name", [name for name in MESSAGES if name not in SAME_MAIL])
async def test_mail_as_text(name, snapshot):
    delivery = await mail(name)

    headers = [f"{name}: {delivery[name].strip()}" for name in HEADERS if name in delivery]
    assert "\n".join([*headers, "", content(delivery, "plain")]) == snapshot(
        extension_class=TextFile
    )


@pytest.mark.parametrize("name", PAGES)
async def test_mail_as_html(name, snapshot):
    assert content(await mail(name), "html") == snapshot(extension_class=HtmlFile)


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("slack", name) for name in BLOCKS), *(("webhook", name) for name in EVENTS)],
)
async def test_posted(kind, name, snapshot):
    async with receiver(kind, timezone="Europe/Berlin") as harness:
        request = await harness.send(MESSAGES[name])

    body = json.dumps(json.loads(request.body), indent=1, ensure_ascii=False)
    assert f"{body}\n" == snapshot(extension_class=JsonFile)


async def test_log_lines(snapshot):
    async with receiver("log") as harness:
        lines = [await harness.send(message(case)) for case in SINGLE.values()]

    assert [line.pop("writing") for line in lines] == [[]] * len(lines)  # nobody writes later
    distinct = dict.fromkeys(json.dumps(line, ensure_ascii=False) for line in lines)
    assert "\n".join([*distinct, ""]) == snapshot(extension_class=TextFile)

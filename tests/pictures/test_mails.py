"""Mails as a browser shows them: on phones and wide, light and dark.

`make pictures` draws them, into the folder that PICTURES names, for people to look at.
"""

import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio
from harness.browser import SCHEMES, SCREENS, missing_program, open_page
from harness.core import HOUR, NOON
from harness.notifications import HOSTILE, NAMES, account, message, notification, undelivered
from harness.receivers import receiver

from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, EventType, Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(missing_program()), reason=f"{missing_program()} is not installed"),
]

FOLDER = os.environ.get("PICTURES")
FIRST = "Dana Maximilian Ana Li Noor Oluwaseun Ivana Tom Guadalupe Siobhán"
LAST = "Doe Hohenzollern-Sigmaringen Silva Wei Haddad Adeyemi Horváth Okafor"
COUPLES = [f"{first} {last}" for first, last in product(FIRST.split(), LAST.split())]
PEOPLE = [COUPLES[place * 9 % 80] for place in range(80)]
LONGEST = "https://www.linkedin.com/in/" + "very-long-name-" * 6


def people(names, cause=Cause.RECONNECTION_REQUIRED, event=EventType.OPENED, **fields):
    """The same of accounts of these *names*."""
    status = Status.ACTIVE if event is EventType.RESOLVED else Status(cause)
    for number, name in enumerate(names):
        id_ = f"{number:08x}-{cause.value[:4]}-4222-8333-444455556666"
        person = account(name, id_=id_, status=status)
        yield notification(event, cause, person=person, **fields)


DANA = account("Dana Doe", url="https://www.linkedin.com/in/dana-doe-63ca828d/")
FROZEN = account("Dana Doe", status=Status.FROZEN)
LABELS = {"team": "growth", "owner": "dana@example.com"}
TWO_CAUSES = notification(EventType.RESOLVED, Cause.FROZEN, person=DANA, labels=LABELS)
TWO_CAUSES = replace(
    TWO_CAUSES,
    incident=replace(
        TWO_CAUSES.incident,
        opened_at=NOON - 52 * HOUR,
        cause_since=NOON - 48 * HOUR,
        earlier=(EarlierCause(Cause.RECONNECTION_REQUIRED, Duration(4 * HOUR)),),
    ),
)
MAILS = {
    "sign-out": message(notification(person=DANA, labels=LABELS)),
    "sign-out-without-link": message(notification(person=DANA, link=None)),
    "frozen": message(notification(cause=Cause.FROZEN, person=FROZEN)),
    "reminder": message(notification(EventType.REMINDED, person=DANA, labels=LABELS)),
    "recovery": message(notification(EventType.RESOLVED, person=DANA, labels=LABELS)),
    "recovery-two-causes": message(TWO_CAUSES),
    "blind": message(notification(cause=Cause.UNREACHABLE)),
    "fallback": message(notification(person=DANA, undelivered=undelivered())),
    "test": message(
        notification(EventType.NOTICE, account=None, workspace="", detail="This is a test.")
    ),
    "group-of-12": message(*people(PEOPLE[:12])),
    "group-of-60": message(*people(PEOPLE[:40]), *people(PEOPLE[40:60], Cause.FROZEN)),
    "group-of-names": message(*people(NAMES.values())),
    "group-recovered": message(
        *people(PEOPLE[:3], event=EventType.RESOLVED),
        *people(PEOPLE[3:6], Cause.FROZEN, EventType.RESOLVED),
    ),
    "arabic": message(notification(person=account(NAMES["Arabic"]))),
    "hebrew": message(notification(person=account(NAMES["Hebrew"]))),
    "emoji": message(notification(person=account(NAMES["Emoji"]))),
    "long": message(
        notification(
            person=account("Wolfeschlegelsteinhausenbergerdorff" * 3, url=LONGEST),
            labels={"o" * 60: "w" * 300, "team": "growth"},
            workspace="w" * 80,
        ),
        address="dana@example.com",
    ),
    "hostile": message(*people(HOSTILE), *people(HOSTILE[:3], Cause.UNKNOWN)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page():
    async with open_page() as page:
        yield page


async def html_of(mail):
    to = {"to": {"label": "o" * 60}} if mail.address else {}
    async with receiver("email", timezone="Europe/Berlin", **to) as harness:
        harness.notifier.style = replace(harness.notifier.style, monitor="prod", host="mon-1")
        return (await harness.send(mail)).get_body(("html",)).get_content()


@pytest.mark.parametrize("name", ["sign-out", "group-of-12", "long"])
async def test_a_program_without_style_sheets_shows_a_mail_as_well(page, name):
    html, count = re.subn(r"(?s)<style>.*?</style>", "", await html_of(MAILS[name]))
    await page.show(html)

    assert count == 3
    assert not any([await page.look(width) for width in SCREENS])


@pytest.mark.parametrize("name", MAILS)
async def test_a_mail_is_whole_and_legible_on_every_screen(page, name):
    folder = FOLDER and Path(FOLDER)
    await page.show(await html_of(MAILS[name]))

    faults = {}
    for width in SCREENS:
        for scheme in SCHEMES:
            picture = folder / f"{name}-{width}-{scheme}.png" if folder else None
            faults[width, scheme] = await page.look(width, scheme, picture)

    assert not any(faults.values()), faults
    assert page.requests == []


async def test_nothing_is_wrong_with_a_plain_page(page):
    await page.show("<body style='background:#ffffff;color:#000000'><h1>Title</h1>")

    assert await page.look(320, "dark") == []


WRONG = {
    "scrolls sideways": "<div style='width:600px;height:1px'></div>",
    "outside": "<div style='position:absolute;right:-9px'>text</div>",
    "overflows": f"<div style='width:50px'>{'x' * 20}</div>",
    "low": "<a style='display:inline-block'>Reconnect</a>",
    "broken": "<a style='display:inline-block;width:60px;padding:22px 0'>Log in again</a>",
    "below": "<div style='height:900px'></div>",
    "contrast": "<p style='color:#949494'>text</p>",
}


@pytest.mark.parametrize("fault", WRONG)
async def test_what_is_wrong_with_a_page_is_seen(page, fault):
    await page.show(f"<body style='background:#ffffff;color:#000000'>{WRONG[fault]}<h1>Title</h1>")

    assert fault in {line.partition(":")[0] for line in await page.look(320)}


async def test_a_page_that_would_load_something_is_seen(page):
    await page.show("<h1>Title</h1><img src=https://example.com/seen.gif>")

    assert page.requests == ["https://example.com/seen.gif"]

"""What people read about a subscription, and about accounts that froze for it."""

from dataclasses import replace

import pytest
from harness.notifications import account, message, notification

from monitor.core.model import Cause, EventType, Status
from monitor.core.render import Style, Tone, plain_text, render

STYLE = Style(billing_url="https://app.linkedapi.io/billing")


def subscription(event=EventType.OPENED, detail="past_due", **fields):
    case = notification(event, Cause.SUBSCRIPTION, **fields)
    return replace(case, incident=replace(case.incident, detail=detail))


def explained(detail="past_due", **fields):
    return notification(EventType.OPENED, Cause.FROZEN, detail=detail, **fields)


@pytest.mark.parametrize(
    ("detail", "title", "lead"),
    [
        ("canceled", "is not active", "Open Billing and start a subscription."),
        ("past_due", "is unpaid", "Open Billing and pay what is due."),
        (
            "past_due seats:1:2 ending",
            "is unpaid, has too few seats and is set to end",
            "Open Billing, pay what is due, add seats and let the subscription renew.",
        ),
        ("seats:1:2", "has too few seats", "The subscription has 1 seat for 2 accounts."),
        ("seats:0:1", "has too few seats", "The subscription has 0 seats for 1 account."),
        ("of another version", "needs attention", "Open Billing and see what is wrong."),
    ],
)
def test_what_is_wrong_with_a_subscription_reads_well(detail, title, lead):
    text = render(message(subscription(detail=detail)), STYLE)

    assert text.title == f"The Linked API subscription of acme {title}"
    assert lead in text.lead
    assert text.action.label == "Billing"
    assert text.thread_title == "The Linked API subscription of acme needs attention"
    assert detail not in plain_text(text)


def test_the_end_of_it_needs_nothing_from_anybody():
    text = render(message(subscription(EventType.RESOLVED)), STYLE)

    assert text.title == "The Linked API subscription of acme is in order again"
    assert (text.tone, text.lead, text.action) == (Tone.GOOD, "Nothing to do.", None)


@pytest.mark.case("accounts newly frozen, the subscription asked")
@pytest.mark.pain("alerts of all that is behind what is down")
def test_accounts_that_froze_for_it_are_told_as_that_and_nothing_is_told_twice():
    first, second = explained(), explained(person=account("John", id_="b2", status=Status.FROZEN))
    text = render(message(subscription(), first, second), STYLE)

    assert text.title == (
        "2 accounts are frozen by Linked API, as the subscription is unpaid (acme)"
    )
    assert text.lead == (
        "Open Billing and pay what is due. Until then nothing runs on these accounts."
    )
    assert text.action.label == "Billing"
    assert [line.name for line in text.sections[0].lines] == ["“Jane Doe”", "“John”"]


def test_one_account_that_froze_for_it_is_a_message_about_that_account():
    text = render(message(subscription(), explained()), STYLE)

    assert text.title == "“Jane Doe” is frozen by Linked API, as the subscription is unpaid"
    assert text.thread_title == "“Jane Doe” is frozen by Linked API (acme)"
    assert text.sections == ()


def test_what_is_wrong_is_told_beside_accounts_that_it_does_not_explain():
    signed_out = notification(EventType.OPENED)
    text = render(message(subscription(), signed_out), STYLE)

    assert [section.title for section in text.sections] == [
        "The Linked API subscription of acme is unpaid",
        "1 account is signed out of LinkedIn",
    ]
    assert text.sections[0].rest == ""


def test_the_end_of_it_is_told_beside_an_account_that_froze_for_it():
    text = render(message(explained(), subscription(EventType.RESOLVED)), STYLE)

    assert "The Linked API subscription of acme is in order again" in plain_text(text)


def test_an_account_that_is_not_frozen_any_more_is_explained_by_nothing():
    text = render(message(notification(detail="past_due")), STYLE)

    assert text.title == "“Jane Doe” is signed out of LinkedIn"

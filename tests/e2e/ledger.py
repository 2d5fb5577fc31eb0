"""What a database and a receiver say about who was told what, compared."""

import asyncio
from collections import defaultdict

from sqlalchemy import text

NO_FLAPPING = "incidents: {flapping: {changes: 1000}}"
NOTIFICATIONS = text("""
SELECT notification.*, message.attempts FROM notification
JOIN message ON message.id = notification.message_id
WHERE notification.receiver = 'crm'
""")
LIVE = text("SELECT COUNT(*) FROM notification WHERE state IN ('pending', 'sending')")


async def until_quiet(store, simulator):
    """Wait until the recovery has been polled and nothing is queued any more."""
    polls = len(simulator.requests)
    async with asyncio.timeout(60):
        while len(simulator.requests) < polls + 2 or await store.run(
            lambda tx: tx.execute(LIVE).scalar_one()
        ):
            await asyncio.sleep(0.1)


def check_what_the_crm_was_told(store, hook, *, at_least):
    """Check that it heard of each incident in pairs, and of all that was settled as delivered."""
    incidents, notifications = store.run_now(_read)
    assert len(incidents) >= at_least, "the rounds opened too little to prove anything"
    assert {one.cause for one in incidents} == {"reconnection_required"}
    assert {one.resolution for one in incidents} == {"recovered"}
    assert {(one.state, one.reason) for one in notifications} <= {
        ("delivered", None),
        ("cancelled", "recovered"),
    }
    told = defaultdict(list)
    for (message_id, _), event in zip(hook.ids, hook.events, strict=True):
        told[event["data"]["incident"]["id"]].append((event["type"], message_id))
    for incident in incidents:
        mine = [one for one in notifications if one.incident_id == incident.id]
        is_delivered = any(one.state == "delivered" for one in mine)
        kinds = [kind for kind, _ in dict.fromkeys(told[incident.id])]
        if is_delivered and any(_is_cut_short(one) for one in mine):
            assert kinds in (["incident.resolved"], ["incident.opened", "incident.resolved"])
        else:
            assert kinds in ([], ["incident.opened", "incident.resolved"]), kinds
        assert kinds or not is_delivered, f"{incident.id} was settled as delivered but never came"


def _is_cut_short(notification):
    """Whether it is an opening of which nobody knows if it left before what was going on ended."""
    return (
        notification.event == "opened"
        and notification.state == "cancelled"
        and notification.attempts > 0
    )


def _read(tx):
    incidents = tx.execute(text("SELECT * FROM incident")).all()
    return incidents, tx.execute(NOTIFICATIONS).all()

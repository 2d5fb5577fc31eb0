"""What a database and a receiver say about who was told what, compared."""

import asyncio
import json
from collections import Counter, defaultdict

from sqlalchemy import text

NO_FLAPPING = "incidents: {flapping: {changes: 100}}"
NOTIFICATIONS = text("""
SELECT notification.*, message.attempts FROM notification
JOIN message ON message.id = notification.message_id
WHERE notification.receiver = 'crm'
""")
DELIVERED = text("""
SELECT message_id, event, account.name FROM notification
JOIN account ON account.workspace = notification.workspace AND account.id = notification.subject
WHERE receiver = 'chat' AND state = 'delivered'
""")
LIVE = text("SELECT COUNT(*) FROM notification WHERE state IN ('pending', 'sending')")


def turn(simulator, moments, accounts):
    """Let some account sign out and another recover."""
    simulator.sign_out("acme", moments.choice(accounts))
    simulator.recover("acme", moments.choice(accounts))


async def until_quiet(store, simulator):
    """Wait until the recovery has been polled and nothing is queued any more."""
    polls = len(simulator.requests)
    async with asyncio.timeout(60):
        while len(simulator.requests) < polls + 2 or await store.run(
            lambda tx: tx.execute(LIVE).scalar_one()
        ):
            await asyncio.sleep(0.1)


def reconcile(store, hook, *, at_least):
    """Check that `crm` was told of incidents in pairs, and of all that was settled as delivered."""
    incidents = store.run_now(lambda tx: tx.execute(text("SELECT * FROM incident")).all())
    notifications = store.run_now(lambda tx: tx.execute(NOTIFICATIONS).all())
    assert len(incidents) >= at_least, "the rounds opened too little to prove anything"
    assert {incident.cause for incident in incidents} == {"reconnection_required"}
    assert {incident.resolution for incident in incidents} == {"recovered"}
    assert {(row.state, row.reason) for row in notifications} <= {
        ("delivered", None),
        ("cancelled", "recovered"),
    }
    received = defaultdict(list)
    for (message_id, _), event in zip(hook.ids, hook.events, strict=True):
        received[event["data"]["incident"]["id"]].append((event["type"], message_id))
    for incident in incidents:
        rows = [row for row in notifications if row.incident_id == incident.id]
        is_delivered = any(row.state == "delivered" for row in rows)
        types = [type_ for type_, _ in dict.fromkeys(received[incident.id])]
        if is_delivered and any(_is_cut_short(row) for row in rows):
            assert types in (["incident.resolved"], ["incident.opened", "incident.resolved"])
        else:
            assert types in ([], ["incident.opened", "incident.resolved"]), types
        assert types or not is_delivered, f"{incident.id} was settled as delivered but never came"


def _is_cut_short(row):
    """Whether it is an opening of which nobody knows if it left before its incident ended."""
    return row.event == "opened" and row.state == "cancelled" and row.attempts > 0


def reconcile_posts(store, hook):
    """Check that `chat` got each message once that was settled as delivered to it, and no other."""
    delivered = defaultdict(list)
    for message_id, event, name in store.run_now(lambda tx: tx.execute(DELIVERED).all()):
        delivered[message_id].append((name, event == "resolved"))
    names = {name for notifications in delivered.values() for name, _ in notifications}
    posted = []
    for post in hook.slack:
        words = json.dumps(post, ensure_ascii=False)
        posted.append(sorted((name, "active again" in words) for name in names if name in words))
    assert Counter(map(str, posted)) == Counter(str(sorted(each)) for each in delivered.values())

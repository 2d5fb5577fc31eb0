"""The books of receivers and of the simulated Linked API, compared with what monitors recorded."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import text

from harness.linked_api import now

SETTLE = 3.0
"""Seconds after an answer in which a monitor has recorded it, unless it was disturbed."""

LOCKED = 20.0
"""More of them, in which who was disturbed in a transaction keeps others from recording theirs."""

APART = 35.0
"""Seconds by which a monitor's clock may be off, and what it records be late."""

TAKE_OVER = 45.0
"""Seconds within which the workspaces of a monitor that falls silent are another's."""

INCIDENTS = text("""
SELECT id, workspace, subject, scope, opened_at, resolved_at, resolution FROM incident
ORDER BY opened_at
""")
NOTIFICATIONS = text("""
SELECT notification.id, notification.message_id, notification.event, notification.incident_id,
    notification.workspace, notification.subject, notification.receiver, notification.state,
    notification.reason, message.unanswered, message.attempts
FROM notification JOIN message ON message.id = notification.message_id
ORDER BY notification.position
""")
LIVE = text("SELECT COUNT(*) FROM notification WHERE settled_at IS NULL")
OPEN = text("SELECT COUNT(*) FROM incident WHERE resolved_at IS NULL")
DETACHED = text("SELECT COUNT(*) FROM workspace WHERE detached_at IS NOT NULL")
CANCELLED = {"recovered", "superseded"}
"""Reasons for which a notification may come to nothing: it holds no more."""


@dataclass
class Audit:
    """What is wrong, a line each, and how often what happened."""

    api: object
    books: dict
    replicas: list
    interval: float
    began: float
    wrong: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)

    def run(self, tx):
        """Compare all of it."""
        self.incidents = tx.execute(INCIDENTS).all()
        self.notifications = tx.execute(NOTIFICATIONS).all()
        self.longest_gap = max(
            (
                (round(after - before, 1), f"{workspace} from {before - self.began:.0f} s")
                for workspace, looks in self.api.looks.items()
                for before, after in pairwise(looks)
            ),
            default=(0.0, "nothing"),
        )
        self._count(tx)
        self._check_incidents()
        self._check_notifications()
        for book in self.books.values():
            check = self._check_posts if book.groups else self._check_events
            check(book, [row for row in self.notifications if row.receiver == book.name])
        return self

    def check_quiet(self, since):
        """Nobody looks at what another holds: none is looked at too often while all is quiet."""
        for gap, workspace in self.api.gaps(since + self.interval):
            if gap < self.interval / 2:
                self.wrong.append(f"looks at {workspace} within {gap:.1f} s")

    def report(self):
        """All counts in a few lines."""
        gap, workspace = self.longest_gap
        pairs = (f"{count} {what}" for what, count in self.counts.items())
        began, passed = self.began, now() - time.monotonic()
        disturbances = sorted(self._disturbances(), key=lambda each: each.since)
        lines = [
            f"{each.since + passed - began:6.0f} to {each.until + passed - began:4.0f} s:"
            f" {each.kind} of {each.replica}"
            for each in disturbances
        ]
        lines.append(f"longest gap between two looks {gap:.1f} s: {workspace}")
        return "\n".join([", ".join(pairs), *lines, *self.wrong])

    def _count(self, tx):
        kinds = Counter(each.kind for each in self._disturbances())
        self.counts["troubles"] = len(self.api.troubles)
        self.counts["looks"] = sum(map(len, self.api.looks.values()))
        self.counts["incidents"] = len(self.incidents)
        self.counts["notifications"] = len(self.notifications)
        self.counts["messages"] = len({row.message_id for row in self.notifications})
        self.counts["requests"] = sum(len(book.arrivals) for book in self.books.values())
        self.counts["accepted"] = sum(len(book.accepted()) for book in self.books.values())
        self.counts["repeats"] = 0
        for kind in ("kill", "stop", "cut"):
            self.counts[f"{kind}s"] = kinds[kind]
        for what, query in (("detached", DETACHED), ("open", OPEN), ("unsettled", LIVE)):
            if count := tx.execute(query).scalar_one():
                self.wrong.append(f"{count} {what} at the end")

    def _check_incidents(self):
        """Each trouble that lasted has an incident, and there are no more than troubles."""
        by_account = defaultdict(list)
        for incident in self.incidents:
            if incident.scope != "account" or incident.resolution not in {"recovered", None}:
                self.wrong.append(f"a false alarm: {incident}")
            by_account[incident.workspace, incident.subject].append(incident)
        for key, incidents in by_account.items():
            if len(incidents) > sum(each[:2] == key for each in self._troubles()):
                self.wrong.append(f"more incidents than troubles: {key}")
        self.counts["lasting"] = 0
        for workspace, account, since, until in self._troubles():
            gap = self.api.longest_gap(workspace, since, until)
            if self._was_disturbed(since, until):
                gap = max(gap, TAKE_OVER)  # who is cut off looks, but can record nothing
            if until - since <= 2 * self.interval + gap:
                continue
            self.counts["lasting"] += 1
            earliest, latest = since - APART, until + self.interval + APART
            if not any(  # it may have begun before: nobody saw that the account was well between
                each.opened_at / 1e6 <= latest and earliest <= each.resolved_at / 1e6
                for each in by_account[workspace, account]
            ):
                looks = [f"{at - since:.0f}" for at in self.api.looks[workspace]]
                self.wrong.append(
                    f"no incident: {workspace} {account} at {since - self.began:.0f} s for"
                    f" {until - since:.0f} s; looks at {looks}"
                )

    def _troubles(self):
        """Whose account was not active from when to when, from the first look on."""
        for each in self.api.troubles:
            looks = self.api.looks[each.workspace]
            if looks and looks[0] < each.until:
                yield each.workspace, each.account, max(each.since, looks[0]), each.until

    def _was_disturbed(self, since, until):
        """Whether anything befell a monitor then, or so shortly before that it was still silent."""
        passed = now() - time.monotonic()
        return any(
            each.since + passed <= until and since - TAKE_OVER <= each.until + passed
            for each in self._disturbances()
        )

    def _check_notifications(self):
        for row in self.notifications:
            if row.state == "delivered" or row.reason in CANCELLED:
                self.counts[row.state] += 1
            else:
                self.wrong.append(f"came to nothing: {row}")
        opened = {(row.incident_id, row.receiver) for row in self.notifications}
        for incident in self.incidents:
            for receiver in ("chat", "crm"):
                if (incident.id, receiver) not in opened:
                    self.wrong.append(f"{receiver} was never to hear of {incident.id}")

    # ── receivers whose messages have ids ────────────────────────────────────────────────────────

    def _check_events(self, book, rows):
        accepted = defaultdict(list)
        for arrival in book.accepted():
            accepted[arrival.key].append(arrival)
        recorded = {row.message_id: row for row in rows}
        for key, row in recorded.items():
            if row.state == "delivered" and key not in accepted:
                self.wrong.append(f"{book.name}: lost {row}")
        for key, arrivals in accepted.items():
            row = recorded.get(key)
            if row is None or (row.state != "delivered" and not row.unanswered):
                self.wrong.append(f"{book.name}: not recorded as delivered: {key} {row}")
            for before in arrivals[:-1]:
                self._repeated(book, before)
        self._check_order(book, rows, accepted)

    def _check_order(self, book, rows, accepted):
        """By the first time that each was accepted: pairs, one incident after the other."""
        never_opened = {
            row.incident_id for row in rows if row.event == "opened" and row.state == "cancelled"
        }
        places = {row.incident_id: number for number, row in reversed([*enumerate(rows)])}
        ended, begun, latest = set(), set(), {}
        for first in sorted((each[0] for each in accepted.values()), key=lambda each: each.at):
            data, kind = first.event["data"], first.event["type"]
            incident = data["incident"]["id"]
            account = data["workspace"], data["account"]["id"]
            if incident in ended:
                self.wrong.append(f"{book.name}: {kind} after the end of {incident}")
            if places.get(incident, 0) < places.get(latest.get(account), 0):
                self.wrong.append(f"{book.name}: {kind} of {incident} after a newer one")
            if kind == "incident.resolved":
                ended.add(incident)
                if incident not in begun | never_opened:
                    self.wrong.append(f"{book.name}: the end of {incident} before its opening")
            begun.add(incident)
            latest[account] = incident

    # ── receivers that take many incidents in a message ──────────────────────────────────────────

    def _check_posts(self, book, rows):
        delivered = Counter(
            frozenset(self.api.accounts[row.workspace, row.subject] for row in group)
            for group in self._delivered(rows).values()
        )
        posted = defaultdict(list)
        for arrival in book.accepted():
            posted[arrival.key].append(arrival)
        for names, count in delivered.items():
            if len(posted[names]) < count:
                self.wrong.append(f"{book.name}: lost a post about {sorted(names)}")
        for names, arrivals in posted.items():
            more = len(arrivals) - delivered[names]
            self.counts["repeats"] += max(0, more)
            if more > sum(self._disturbance(arrival) is not None for arrival in arrivals):
                self.wrong.append(f"{book.name}: posted too often: {sorted(names)}")

    def _delivered(self, rows):
        delivered = defaultdict(list)
        for row in rows:
            if row.state == "delivered":
                delivered[row.message_id].append(row)
        return delivered

    # ── what may be told twice ───────────────────────────────────────────────────────────────────

    def _repeated(self, book, arrival):
        self.counts["repeats"] += 1
        if not self._disturbance(arrival):
            self.wrong.append(f"{book.name}: {arrival.key} of {arrival.by} came twice")

    def _disturbance(self, arrival):
        """What befell the sender of *arrival* while it was being sent and recorded."""
        end = arrival.answered_at + SETTLE
        if any(_fell(each, arrival.at, end) for each in self._disturbances()):
            end += LOCKED
        own = (each for each in self._disturbances() if each.replica == arrival.by)
        return next((each for each in own if _fell(each, arrival.at, end)), None)

    def _disturbances(self):
        return [each for replica in self.replicas for each in replica.disturbances]


def _fell(disturbance, since, until):
    """Whether it went on at some time between the two, or had only just ended."""
    return disturbance.since <= until and since <= disturbance.until + SETTLE

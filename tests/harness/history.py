"""What receivers were handed, and what must be true of it whatever happened meanwhile."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby, pairwise

from sqlalchemy import text

from monitor.core.decide.sessions import LINK_TRUST, is_doubtful
from monitor.store import accounts, incidents, sessions

DEAD_ENDS = text("""
SELECT receiver, incident_id FROM notification
WHERE event = 'resolved' AND (state = 'dead' OR reason = 'receiver_removed')
""")

NOT_REPEATED = text("""
SELECT message_id, incident_id FROM notification WHERE reason = 'superseded'
""")

ASKED = text("""
SELECT 1 FROM session_intent
WHERE account_id = :account_id AND (at > :since OR outcome IN ('wanted', 'calling')) LIMIT 1
""")


@dataclass
class Handed:
    """One notification in one attempt to send a message, *key*; *answer* as far as it counts."""

    receiver: str
    incident: str | None
    event: str
    key: str
    attempt: int
    answer: str = "unknown"


class History:
    """Keeps what receivers were handed."""

    def __init__(self, harness):
        self.harness = harness
        self.handed = []
        self._in_attempt = defaultdict(list)
        self._unable = set()
        self._missed = set()

    def excuse(self, absent, events):
        """Note that receivers are *absent*: they hear of no change and end among *events*."""
        for event in events:
            self._missed.update((name, event.incident_id) for name in absent)
            if event.type == "resolved":
                self._unable.update((name, event.incident_id) for name in absent)

    def begin(self, claimed):
        """Note what is being sent."""
        notifications = claimed.message.notifications
        self.harness.run(lambda tx: self._check_that_they_hold(tx, notifications))
        if claimed.message.done:
            return  # the receiver has been handed it, these are the last of its addresses
        for notification in notifications:
            incident = notification.incident and notification.incident.id
            event, receiver = str(notification.event), claimed.message.receiver
            handed = Handed(receiver, incident, event, claimed.message.id, claimed.attempts)
            self.handed.append(handed)
            self._in_attempt[claimed.message.id, claimed.attempts].append(handed)

    def _check_that_they_hold(self, tx, notifications):
        """Promise 5, at the moment of every single send."""
        for notification in notifications:
            if notification.event == "notice":
                continue
            incident = incidents.load(tx, notification.incident.id)
            assert incident.is_open is (notification.event != "resolved")
            if notification.link is not None:
                account = accounts.load(tx, "acme", incident.account_id)
                session = sessions.load(tx, "acme", incident.account_id)
                assert account.status == "reconnection_required"
                assert notification.link == session.link
                assert self._is_asked(tx, account.id) or not is_doubtful(session, self.harness.now)

    def _is_asked(self, tx, account_id):
        values = {"account_id": account_id, "since": self.harness.now - LINK_TRUST}
        return tx.execute(ASKED, values).one_or_none() is not None

    def end(self, claimed, error):
        """Note how an attempt ended, if that counts."""
        ambiguous = error is not None and error.ambiguous
        for handed in self._in_attempt[claimed.message.id, claimed.attempts]:
            handed.answer = "unknown" if ambiguous else "refused" if error else "delivered"

    def check(self):
        """Promises 3 and 4, once everything has been delivered."""
        self._check_repetitions()
        dead_ends = self._pairs(DEAD_ENDS) | self._unable
        stories = defaultdict(list)
        for handed in self.handed:
            if handed.incident and handed.event != "notice" and handed.answer != "refused":
                stories[handed.receiver, handed.incident].append(handed)
        for about, arrived in stories.items():
            kinds = [kind for kind, _ in dict.fromkeys((each.event, each.key) for each in arrived)]
            # Promise 4: an opening first, a resolution last, both or neither.
            assert kinds[0] == "opened", arrived
            assert kinds[-1] == "resolved" or about in dead_ends, arrived
            # Promise 3: a repetition has the same key.
            assert kinds.count("opened") == 1, arrived
            assert kinds.count("resolved") <= 1, arrived

    def _check_repetitions(self):
        """Only what was not answered is repeated, and it stays what it was or less of it."""
        superseded = self._pairs(NOT_REPEATED)
        by_key = sorted(self.handed, key=lambda each: (each.key, each.attempt))
        for key, handed in groupby(by_key, lambda each: each.key):
            attempts = [list(group) for _, group in groupby(handed, lambda each: each.attempt)]
            for before, after in pairwise(attempts):
                answer = before[0].answer
                assert answer != "delivered", (before, after)
                if answer == "unknown":
                    told = {(each.event, each.incident) for each in before}
                    assert {(each.event, each.incident) for each in after} <= told, (before, after)
            for each in attempts[-1]:
                is_lost = each.event == "opened" and each.answer == "unknown"
                was_there = (each.receiver, each.incident) not in self._missed
                if is_lost and was_there and (key, each.incident) in superseded:
                    assert self._next(each) not in (None, "reminded"), each

    def _next(self, handed):
        """Return what the same receiver was told next of the same incident."""
        about = handed.receiver, handed.incident
        later = self.handed[self.handed.index(handed) + 1 :]
        kinds = (each.event for each in later if (each.receiver, each.incident) == about)
        return next(kinds, None)

    def _pairs(self, query):
        return set(self.harness.run(lambda tx: list(map(tuple, tx.execute(query)))))

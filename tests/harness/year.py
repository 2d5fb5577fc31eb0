"""A year of accounts and of the people who own them, and what must be true of what they were told.

Accounts are signed out about once in 30 days each; most are brought back within hours, some not for
days. The subscription of a workspace is not paid, so that its accounts freeze, and is later. Linked
API is away twice. Nights and a holiday are quiet. Of three owners, ann acknowledges what she hears.
"""

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from harness.core import (
    HOUR,
    MINUTE,
    NOON,
    UNREACHABLE,
    frozen,
    listed_account,
    signed_out,
)
from harness.store import DAY
from harness.units_of_work import UnitsOfWork
from monitor.app.components import style_of
from monitor.core.act import ActKind
from monitor.core.model import Snapshot
from monitor.core.mutes import MuteRule
from monitor.core.render import plain_text, render
from monitor.core.route import Match
from monitor.core.subscription import Subscription, SubscriptionStatus
from monitor.work import act

DAYS = 365
ZONE = ZoneInfo("Europe/Berlin")
WORKSPACES = ("north", "south", "east", "west")
RECEIVERS = {"ann": "ann", "ben": "ben", "cleo": "mail"}
"""How each owner is reached."""

CONFIG = """
workspaces:
  - {name: north, token: linked_north}
  - {name: south, token: linked_south}
  - {name: east, token: linked_east}
  - {name: west, token: linked_west}
accounts:
  - {match: {id: "ann-*"}, labels: {owner: ann}}
  - {match: {id: "ben-*"}, labels: {owner: ben}}
  - {match: {id: "cleo-*"}, labels: {owner: cleo, mail: cleo@example.com}}
reconnection: {create: never}
receivers:
  - {name: ann, type: slack, url: "https://slack.example/ann"}
  - {name: ben, type: slack, url: "https://slack.example/ben"}
  - {name: mail, type: email, host: mail.example, from: monitor@example.com, to: {label: mail}}
  - {name: lead, type: slack, url: "https://slack.example/lead"}
routes:
  - match: {scope: workspace}
    to: [lead]
  - match: {labels: {owner: ann}}
    to: [ann]
    escalate: [{after: 8h, to: [lead]}]
  - match: {labels: {owner: ben}}
    to: [ben]
    escalate: [{after: 8h, to: [lead]}, {after: 2d, to: [lead, ann]}]
  - to: [mail]
    escalate: [{after: 8h, to: [lead]}]
fallback: lead
mutes:
  - {match: {scope: account}, cron: "0 22 * * *", for: 9h, reason: nobody is there at night}
timezone: Europe/Berlin
incidents: {remind_at: "09:00"}
storage: {keep: 90d}
"""

PAID = Subscription(SubscriptionStatus.ACTIVE)
UNPAID = Subscription(SubscriptionStatus.PAST_DUE)
LAPSED = "north"
LAPSE = NOON + 90 * DAY, NOON + 96 * DAY
FREEZE = NOON + 93 * DAY + 2 * HOUR, NOON + 95 * DAY + 20 * HOUR
OUTAGES = (
    (NOON + 150 * DAY + HOUR, NOON + 150 * DAY + HOUR + 40 * MINUTE),
    (NOON + 240 * DAY + 8 * HOUR, NOON + 240 * DAY + 14 * HOUR),
)
NIGHT = timedelta(hours=9)
HOLIDAY = "2026-12-24T12:00", "2026-12-28T08:00"
HOLIDAY_AT = tuple(datetime.fromisoformat(at).replace(tzinfo=ZONE) for at in HOLIDAY)
MAX_MESSAGES = 40

EVENTS = text("""
SELECT id, type, at, incident_id, detail FROM event WHERE at > :since ORDER BY at, id
""")
QUEUED = text("""
SELECT notification.receiver, event.type, event.at, event.account_id, event.incident_id
FROM notification JOIN event ON event.id = notification.event_id WHERE event.at > :since
""")


class People:
    """What happens to so many *accounts* in a year: who is signed out from when until when."""

    def __init__(self, accounts, seed):
        owners = tuple(RECEIVERS)
        names = random.Random(seed)
        self.accounts = {}
        self.spans = {}
        for number in range(accounts):
            id_ = f"{owners[number % 3]}-{number:04d}"
            name = f"{names.choice(FIRST_NAMES)} {names.choice(LAST_NAMES)}"
            self.accounts[id_] = WORKSPACES[number // 3 % 4], name
            self.spans[id_] = list(_sign_outs(random.Random(f"{seed} {id_}")))

    def changes(self):
        """When each account changes, in order: (time, id, is signed out)."""
        return sorted(
            change
            for id_, spans in self.spans.items()
            for start, end in spans
            for change in ((start, id_, True), (end, id_, False))
        )

    def troubles(self, id_):
        """From when until when an account was bad, for whatever reason."""
        spans = list(self.spans[id_])
        if self.accounts[id_][0] == LAPSED:
            spans.append(FREEZE)
        joined = []
        for start, end in sorted(spans):
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined


def _sign_outs(moments):
    at = NOON
    while True:
        at += int(moments.expovariate(1 / 30) * DAY)
        hours = moments.uniform(0.2, 7) if moments.random() < 0.85 else moments.uniform(20, 90)
        start = at = at - at % MINUTE + MINUTE
        at = at + int(hours * 60) * MINUTE
        if at >= NOON + (DAYS - 3) * DAY:
            return
        yield start, at


FIRST_NAMES = ("Jane", "Amir", "Chloé", "Søren", "Yuki", "Marta", "Luís", "Olga", "Tariq", "Ines")
LAST_NAMES = ("Doe", "Rossi", "Nowak", "Haddad", "Sato", "Berg", "Silva", "Ivanova", "Kaya")


def _local(at):
    return datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(ZONE)


def is_quiet_time(at):
    """Whether nobody is to hear of accounts, but for resolutions."""
    local = _local(at)
    dusk = local.replace(hour=22, minute=0, second=0, microsecond=0)
    dusks = (dusk, dusk - timedelta(days=1))  # each on a clock, which may skip an hour
    is_night = any(0 <= local.timestamp() - it.timestamp() < NIGHT.total_seconds() for it in dusks)
    return is_night or HOLIDAY_AT[0] <= local < HOLIDAY_AT[1]


def _is_away(at):
    """Whether Linked API is away, or was until a minute ago."""
    return any(start <= at < end + 2 * MINUTE for start, end in OUTAGES)


class Year:
    """A year of *people*, and a list of all *messages* in the order in which they were handed over.

    What is *wrong* is written down, not raised.
    """

    def __init__(self, folder, people, crash_every=0):
        self.people = people
        file = folder / "config.yaml"
        file.write_text(CONFIG, encoding="utf-8")
        file.chmod(0o600)
        self.messages, self.keys = [], set()
        self.repeated = 0
        self.wrong = []
        self.is_open = {}  # whether a receiver has an account for bad: when it was last told what
        self.heard = set()
        self.timeline = defaultdict(list)
        self.events = Counter()
        self.acts = []  # (time, workspace, incident)
        self.acknowledged = {}
        self.acked_at = []
        self.steps_done = Counter()
        self.checked_until = 0
        self.units = UnitsOfWork(
            file,
            f"sqlite:///{folder}/monitor.db",
            subscription=PAID,
            receive=self.receive,
            crash_every=crash_every,
        )
        self.signed_out, self.is_frozen, self.is_away = set(), False, False

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    async def run(self):
        self.changes = self.people.changes()
        self.others = sorted(
            [(start, self.go_away) for start, _ in OUTAGES]
            + [(end, self.come_back) for _, end in OUTAGES]
            + [(LAPSE[0], self.stop_paying), (LAPSE[1], self.pay)]
            + [(FREEZE[0], self.freeze), (FREEZE[1], self.thaw)]
            + [(NOON + 29 * DAY, self.mute_holiday)]
            + [(NOON + day * DAY + DAY // 2, self.prune) for day in range(DAYS)]
            + [(NOON + day * DAY, self.check_now) for day in range(30, DAYS, 30)],
            key=lambda it: it[0],
        )
        self.list_accounts(WORKSPACES)
        end = NOON + DAYS * DAY
        while self.units.now < end:
            self.acknowledge()
            await self.units.work()
            times = [self.units.next_at(), end]
            times += [self.changes[0][0]] if self.changes else []
            times += [self.others[0][0]] if self.others else []
            times += [at for at, _, _ in self.acts[:1]]
            earliest = min(at for at in times if at is not None)
            earliest += -earliest % MINUTE
            self.units.now = max(earliest, self.units.now + MINUTE)
            self.let_happen()
        self.check_now()
        self.check_end()

    def let_happen(self):
        """Let happen what is to happen until now, and show it to the workspaces it concerns."""
        touched = set()
        while self.changes and self.changes[0][0] <= self.units.now:
            _, id_, is_out = self.changes.pop(0)
            (self.signed_out.add if is_out else self.signed_out.discard)(id_)
            touched.add(self.people.accounts[id_][0])
        while self.others and self.others[0][0] <= self.units.now:
            touched.update(self.others.pop(0)[1]() or ())
        self.list_accounts(touched)

    def list_accounts(self, workspaces):
        for name in workspaces:
            source = self.units.sources[name]
            source.observation = UNREACHABLE if self.is_away else Snapshot(tuple(self.listed(name)))
            self.units.restless.add(name)

    def listed(self, workspace):
        for id_, (where, name) in self.people.accounts.items():
            if where == workspace:
                if self.is_frozen and workspace == LAPSED:
                    status = frozen
                else:
                    status = signed_out if id_ in self.signed_out else listed_account
                yield status(id_, name=name)

    def go_away(self):
        self.is_away = True
        return WORKSPACES

    def come_back(self):
        self.is_away = False
        return WORKSPACES

    def stop_paying(self):
        self.units.sources[LAPSED].subscription = UNPAID
        return [LAPSED]

    def pay(self):
        self.units.sources[LAPSED].subscription = PAID
        return [LAPSED]

    def freeze(self):
        self.is_frozen = True
        return [LAPSED]

    def thaw(self):
        self.is_frozen = False
        return [LAPSED]

    def mute_holiday(self):
        rule = MuteRule(match=Match(scopes=("account",)), starts=HOLIDAY[0], until=HOLIDAY[1])
        until = rule.times("Europe/Berlin")[1]
        self.units.act(act.mute, ActKind.MUTE, rule, until, "holiday", actor="lead")

    def prune(self):
        self.units.has_to_prune = True

    def acknowledge(self):
        """Let ann have what she heard of 20 minutes ago."""
        due = defaultdict(list)
        while self.acts and self.acts[0][0] <= self.units.now:
            _, workspace, incident = self.acts.pop(0)
            due[workspace].append(incident)
        for workspace, ids in due.items():
            chosen, rules = act.Chosen(ids=ids), self.units.act_rules
            given = {"actor": "ann", "workspace": workspace}
            if self.units.act(act.ack, ActKind.ACK, chosen, rules, **given):
                self.acked_at += [(self.units.now, incident) for incident in ids]

    # ── what people hear ─────────────────────────────────────────────────────────────────────────

    def receive(self, message):
        """Be handed *message*; one that comes again, as nobody knew whether it had, is the same."""
        if message.id in self.keys:
            self.repeated += 1
            return
        self.keys.add(message.id)
        self.messages.append(message)
        for told in message.notifications:
            self.events[_month(message.now), message.receiver, str(told.event)] += 1
            if told.incident is None:
                continue
            self.hear(message.receiver, message.address, told, message.now)
            is_ours = message.receiver == "ann" and told.account is not None
            if is_ours and told.event in ("opened", "changed") and told.labels["owner"] == "ann":
                self.acts.append((told.at + 20 * MINUTE, told.workspace, told.incident.id))
        self.acts.sort()

    def hear(self, receiver, address, told, now):
        key = receiver, address, told.workspace, told.incident.subject
        is_open = self.is_open.get(key, False)
        self.expect((told.event == "opened") is not is_open, "out of order", key, told.event, now)
        self.is_open[key] = told.event != "resolved"
        self.timeline[receiver, told.incident.subject].append((now, self.is_open[key]))
        is_called = receiver == "lead" and told.account is not None
        self.expect(not is_called or told.event != "reminded", "reminded by a step", key, now)
        about = receiver, address, told.incident.id
        if told.event == "opened":
            self.heard.add(about)
        self.expect(about in self.heard, "told of what it never heard", key, told.event, now)

    def expect(self, is_right, *what):
        if not is_right:
            self.wrong.append(" ".join(map(str, what)))

    # ── what must be true ────────────────────────────────────────────────────────────────────────

    def check_now(self):
        """Check what was recorded since the last time."""
        since, self.checked_until = self.checked_until, self.units.now
        run = self.units.store.run_now
        for row in run(lambda tx: tx.execute(QUEUED, {"since": since}).all()):
            may_tell = row.type == "resolved" or not row.account_id or not is_quiet_time(row.at)
            self.expect(may_tell, "queued while muted", row)
        events = run(lambda tx: tx.execute(EVENTS, {"since": since}).all())
        acted = [(at, 0, incident, None) for at, incident in self.acked_at]
        happened = [(it.at, 1, it.incident_id, it) for it in events]
        for _, _, incident, event in sorted([*acted, *happened], key=lambda it: it[:2]):
            if event is None:
                self.acknowledged[incident] = True
            elif event.type == "changed":
                self.acknowledged.pop(incident, None)
            elif event.type in ("reminded", "escalated"):
                self.expect(incident not in self.acknowledged, "though acknowledged", event)
            if event is not None and event.type == "escalated":
                self.steps_done[incident, event.detail] += 1
        self.acked_at.clear()

    def check_end(self):
        """Check the year as a whole."""
        for step, times in self.steps_done.items():
            self.expect(times == 1, "escalated again", step)
        for key, is_open in self.is_open.items():
            self.expect(not is_open, "never told of its end", key)
        for day, receiver, messages in self.busy_days():
            self.expect(messages <= MAX_MESSAGES, "too many messages", day, receiver, messages)
        for id_ in self.people.accounts:
            for start, end in self.people.troubles(id_):
                self.expect(self.is_told(id_, start, end), "not told", id_, _local(start))

    def is_told(self, id_, start, end):
        """Whether the owner of an account that was bad knew of that once anybody was to know."""
        at = start
        while is_quiet_time(at) or _is_away(at):
            at += 10 * MINUTE
        at += 5 * MINUTE
        if at >= end or is_quiet_time(at) or _is_away(at):
            return True
        heard = [is_open for when, is_open in self.timeline[_receiver(id_), id_] if when <= at]
        return bool(heard) and heard[-1]

    def busy_days(self):
        """How many messages each receiver had on each ordinary day."""
        counts = Counter((_local(it.now).date(), it.receiver) for it in self.messages)
        special = set()
        for start, end in (LAPSE, *OUTAGES):
            special.update(map(_day, range(start, end + 2 * DAY, HOUR)))
        special.update(date(2026, 12, day) for day in range(24, 30))
        return [
            (day, receiver, messages)
            for (day, receiver), messages in counts.items()
            if day not in special
        ]

    # ── for people ───────────────────────────────────────────────────────────────────────────────

    def what_was_told(self):
        """Each message as what it says, for a comparison."""
        return Counter(
            (
                message.receiver,
                message.address,
                tuple(
                    (str(it.event), it.workspace, it.incident and it.incident.subject)
                    for it in message.notifications
                ),
            )
            for message in self.messages
        )

    def table(self):
        """How many times each event was told, by month and receiver."""
        kinds = sorted({event for _, _, event in self.events})
        lines = [f"{'month':8} {'receiver':8} " + " ".join(f"{kind:>12}" for kind in kinds)]
        for month, receiver in sorted({(month, receiver) for month, receiver, _ in self.events}):
            counts = " ".join(f"{self.events[month, receiver, kind]:12}" for kind in kinds)
            lines.append(f"{month:8} {receiver:8} {counts}")
        busiest = max(messages for _, _, messages in self.busy_days())
        lines.append(f"{len(self.messages)} messages, on an ordinary day at most {busiest} to one")
        return "\n".join(lines)

    def picked(self, moments, times=3):
        """Some messages as their text."""
        style = style_of(self.units.config)
        return [
            f"to {message.receiver}, {_local(message.now):%Y-%m-%d %H:%M}\n"
            f"{plain_text(render(message, style))}"
            for message in moments.sample(self.messages, times)
        ]


def _receiver(id_):
    return RECEIVERS[id_.partition("-")[0]]


def _month(at):
    return f"{_local(at):%Y-%m}"


def _day(at):
    return _local(at).date()

"""Values for tests: each has sensible defaults, a test names only what it is about."""

from dataclasses import replace
from itertools import count

from monitor import __version__
from monitor.core.decide import decide
from monitor.core.decide.due import Due, schedule, unwatch
from monitor.core.diff import diff
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.fingerprint import list_key, make_fingerprint
from monitor.core.inventory import Inventory
from monitor.core.model import (
    ALL_WORKSPACES,
    Cause,
    Event,
    EventType,
    Failure,
    Incident,
    ListedAccount,
    Reason,
    Session,
    Snapshot,
    Status,
    Workspace,
)
from monitor.core.mutes import Mutes
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Receiver, Routing
from monitor.core.runtime import Runtime
from monitor.core.secret import Secret
from monitor.metrics import Metrics
from monitor.work.poll import PollRules
from monitor.work.record import Recorder

MINUTE = Duration.parse("1m")
HOUR = Duration.parse("1h")
NOON = 1_795_435_200_000_000  # 2026-11-23 12:00:00 UTC

LINK = "https://app.linkedapi.io/connection/d90ac1f6"


def listed_account(id_="a1", status=Status.ACTIVE, *, name=None, url=None, link=None, raw=None):
    needs_login = status is Status.RECONNECTION_REQUIRED
    link = link if link is not None else (LINK if needs_login else "")
    session = Session(link.rpartition("/")[2], Secret(link)) if needs_login and link else None
    return ListedAccount(
        id=id_,
        name=name or f"Person {id_}",
        url=url if url is not None else f"https://www.linkedin.com/in/{id_}/",
        country="US",
        status=status,
        raw_status=raw or status.value,
        session=session,
    )


def signed_out(id_="a1", **kwargs):
    return listed_account(id_, Status.RECONNECTION_REQUIRED, **kwargs)


def frozen(id_="a1", **kwargs):
    return listed_account(id_, Status.FROZEN, **kwargs)


def make_routing(receivers, *routes, **kwargs) -> Routing:
    """The routes to *receivers*: for each name whether one message may hold many incidents."""
    return Routing(
        {name: Receiver(name, groups=groups) for name, groups in receivers.items()},
        routes,
        **kwargs,
    )


UNREACHABLE = Failure(Cause.UNREACHABLE, "no answer in 30 s")
REJECTED = Failure(Cause.TOKEN_REJECTED, "the token is not valid")


def make_rules(policy: IncidentPolicy, routes: Routing, *, create: bool) -> PollRules:
    """What a workspace is polled by that is due every minute."""
    return PollRules(policy, routes, lambda at: at + MINUTE, create=create, cooldown=HOUR)


def make_recorder(
    harness,
    receivers,
    *,
    replica="replica",
    jitter=0.0,
    wake=lambda _: None,
    look=lambda _: None,
) -> Recorder:
    """What units of work record with: the store, clock and ids of *harness*, metrics from 0."""
    metrics = Metrics(version=__version__)
    metrics.declare(workspaces=["acme", ALL_WORKSPACES], receivers=receivers)
    runtime = Runtime(lambda: harness.now, lambda: harness.seconds, lambda: jitter, harness.new_id)
    return Recorder(replica, harness.store, metrics, runtime, wake, look)


def acceptance(account_id="a1", *, at=NOON) -> Event:
    """What is recorded when a person accepts the new name of an account of `acme`."""
    reason = Reason.ACCEPTED
    return Event("accepted", EventType.NOTICE, at, "acme", account_id, None, reason=reason)


class CoreHarness:
    """A workspace and its incidents, polled through the pure core; one minute passes per poll."""

    def __init__(self, *, create=False, **policy):
        self.policy = IncidentPolicy(**policy)
        self.create = create
        self.now = NOON
        self.workspace = Workspace("acme")
        self.incidents: dict[str, Incident] = {}
        self.sessions: dict[str, Session] = {}
        self.ids = map(str, count(1))
        self.events = []
        self.ignored = set()
        self.inventory = Inventory()
        self.token = Secret("linked_acme")
        self.routing = make_routing({})
        self.subscription = None  # as it is asked with each poll
        self.asks_subscription = True

    def poll(self, *accounts, scheduled=True, after=MINUTE, accepted_by=None) -> Decision:
        return self.observe(
            Snapshot(accounts), scheduled=scheduled, after=after, accepted_by=accepted_by
        )

    def polls(self, *accounts) -> list[Decision]:
        """Poll once for each account, which is the only one then."""
        return [self.poll(account) for account in accounts]

    def fail(self, failure=UNREACHABLE, *, scheduled=True, after=MINUTE) -> Decision:
        return self.observe(failure, scheduled=scheduled, after=after)

    def observe(self, observation, *, scheduled=True, after=MINUTE, accepted_by=None) -> Decision:
        self.now += after
        if isinstance(observation, Snapshot):
            rules = list_key({*self.ignored, self.inventory.key("acme")})
            changes = diff(self.workspace, observation, ignores=self.ignores, rules=rules)
            fingerprint = make_fingerprint("salt", self.token, changes.ignored, rules)
            observation = replace(changes, fingerprint=fingerprint)
        decision = decide(
            self.workspace,
            observation,
            {incident.about: incident for incident in self.open},
            self.sessions,
            policy=self.policy,
            inventory=self.inventory,
            create=self.create,
            scheduled=scheduled,
            now=self.now,
            new_id=self.ids.__next__,
            accepted_by=accepted_by,
            subscription=self.subscription,
            asks_subscription=self.asks_subscription,
        )
        return self.take(decision)

    def ignores(self, account) -> bool:
        return account.id in self.ignored or self.inventory.ignores("acme", account)

    def unwatch(self) -> Decision:
        """Let the workspace leave the configuration for good."""
        incidents = {incident.about: incident for incident in self.open}
        return self.take(
            unwatch(
                self.workspace,
                incidents,
                self.sessions,
                now=self.now,
                new_id=self.ids.__next__,
            )
        )

    def take(self, decision):
        """Record *decision*, all of which somebody is told."""
        self.workspace = decision.workspace
        telling = {event.incident_id for event in decision.events}
        for incident in decision.incidents:
            is_told = incident.id in telling
            self.incidents[incident.id] = self.schedule(incident, is_told=is_told)
        sessions = {**self.sessions, **decision.sessions}
        self.sessions = {id_: session for id_, session in sessions.items() if session}
        self.events.extend(decision.events)
        return decision

    def schedule(self, incident, *, is_told=False, now=None, **how):
        """Let *incident* be recorded."""
        item = Due(incident, self.workspace.accounts.get(incident.account_id))
        how = {"policy": self.policy, "routing": self.routing, "now": now or self.now, **how}
        how.setdefault("mutes", Mutes())
        return schedule(item, is_told=is_told, **how)

    @property
    def open(self) -> list[Incident]:
        return [incident for incident in self.incidents.values() if incident.is_open]


def told(*decisions):
    """What happened and why, in short: ["opened frozen: seen_bad"]."""
    return [
        f"{event.type} {event.cause or event.detail}: {event.reason}"
        for decision in decisions
        for event in decision.events
    ]


OPENED = "opened reconnection_required: seen_bad"
RECOVERED = "resolved reconnection_required: active_again"

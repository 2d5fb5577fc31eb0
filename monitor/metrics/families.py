"""Every metric of ours, each declared once: name, type, help, labels, what starts at 0, buckets.

To add one, declare it here, in the place where it is to be shown, and let `Metrics` count, observe
or set it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from typing import Final, Literal

from monitor.core.act import ActKind, Way
from monitor.core.errors import AttemptReason
from monitor.core.model import BLIND_CAUSES, Cause, EventType, IntentOutcome, Status


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A metric.

    *zeros* are the series that start at 0 for each declared workspace or receiver: values of the
    labels but `workspace`, `receiver` and `type`. *buckets* are a histogram's upper bounds.
    """

    type: Literal["gauge", "counter", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    zeros: Sequence[Mapping[str, str]] = ()
    buckets: tuple[float, ...] = ()


_gauge: Final = partial(Family, "gauge")
_counter: Final = partial(Family, "counter")
_histogram: Final = partial(Family, "histogram")


def _each(**values: Iterable[str]) -> Sequence[Mapping[str, str]]:
    """Return every combination of label values."""
    return [dict(zip(values, choice, strict=True)) for choice in product(*values.values())]


_STATUSES: Final = (Status.ACTIVE, Status.RECONNECTION_REQUIRED, Status.FROZEN)
_METHODS: Final = (
    "accounts.getAll",
    "accounts.getConnectionSession",
    "accounts.createReconnectionSession",
    "subscription.getStatus",
    "subscription.getSeats",
)
_CALL_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELIVERY_BUCKETS: Final = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 900.0, 3600.0, 14400.0, 86400.0),
)
_STORE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_RECOVERY_BUCKETS: Final = (
    *(5.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0),
    *(7200.0, 14400.0, 28800.0, 86400.0, 172800.0, 604800.0),
)

STATUS: Final = _gauge(
    "linkedapi_account_status",
    "1 for the present status of an account.",
    ("workspace", "account_id", "status"),
)
INFO: Final = _gauge(
    "linkedapi_account_info",
    "1 for each account, with its name, its country and the address of its profile.",
    ("workspace", "account_id", "name", "country", "url"),
)
SINCE: Final = _gauge(
    "linkedapi_account_status_since_timestamp_seconds",
    "When the present status of an account was first seen.",
    ("workspace", "account_id"),
)
ACCOUNTS: Final = _gauge(
    "linkedapi_accounts",
    "Accounts by their last known status.",
    ("workspace", "status"),
    zeros=_each(status=Status),
)
TRANSITIONS: Final = _counter(
    "linkedapi_account_transitions_total",
    "Changes of an account's status; absent: not in the account list.",
    ("workspace", "from", "to"),
    zeros=[{"from": before, "to": after} for before, after in permutations(_STATUSES, 2)],
)
UP: Final = _gauge(
    "linkedapi_workspace_up",
    "1 if the latest poll read the workspace, 0 if it failed or there was none yet.",
    ("workspace",),
    zeros=_each(),
)
LAST_SUCCESS: Final = _gauge(
    "linkedapi_last_successful_poll_timestamp_seconds",
    "When the account list was last read.",
    ("workspace",),
)
POLLS: Final = _counter(
    "linkedapi_polls_total",
    "Polls of the account list by how they ended.",
    ("workspace", "outcome"),
    zeros=_each(outcome=("ok", *BLIND_CAUSES, Cause.SUBSCRIPTION)),
)
POLL_DURATION: Final = _histogram(
    "linkedapi_poll_duration_seconds",
    "How long polls took.",
    ("workspace",),
    zeros=_each(),
    buckets=_CALL_BUCKETS,
)
INCIDENTS_OPEN: Final = _gauge(
    "linkedapi_incidents_open",
    "Open incidents by cause.",
    ("workspace", "cause"),
    zeros=_each(cause=Cause),
)
INCIDENTS: Final = _counter(
    "linkedapi_incidents_total",
    "What happened to incidents.",
    ("workspace", "cause", "event"),
    zeros=_each(cause=Cause, event=(EventType.OPENED, EventType.RESOLVED)),
)
SESSIONS_CREATED: Final = _counter(
    "linkedapi_reconnection_sessions_created_total",
    "Reconnection sessions asked for, by outcome.",
    ("workspace", "outcome"),
    zeros=_each(outcome=IntentOutcome),
)
REQUESTS: Final = _counter(
    "linkedapi_api_requests_total",
    "Calls of Linked API by how they ended.",
    ("method", "outcome"),
    zeros=_each(method=_METHODS, outcome=("ok", "api_error", "http_error", "network", "timeout")),
)
REQUEST_DURATION: Final = _histogram(
    "linkedapi_api_request_duration_seconds",
    "How long calls of Linked API took.",
    ("method",),
    zeros=_each(method=_METHODS),
    buckets=_CALL_BUCKETS,
)
RECOVERY: Final = _histogram(
    "linkedapi_recovery_seconds",
    "From the detection of an account's problem to each phase of its recovery.",
    ("phase",),
    zeros=_each(phase=("notified", "active")),
    buckets=_RECOVERY_BUCKETS,
)
NOTIFICATIONS: Final = _counter(
    "linkedapi_notifications_total",
    "Notifications that came to an end.",
    ("receiver", "type", "event", "outcome"),
    zeros=_each(event=EventType, outcome=("delivered", "dead", "cancelled")),
)
ATTEMPTS: Final = _counter(
    "linkedapi_notification_attempts_total",
    "Attempts to hand a message over.",
    ("receiver", "type", "reason"),
    zeros=_each(reason=AttemptReason),
)
LATENCY: Final = _histogram(
    "linkedapi_notification_latency_seconds",
    "From the commit of a message to its acceptance by the receiver.",
    ("type",),
    zeros=_each(),
    buckets=_DELIVERY_BUCKETS,
)
PENDING: Final = _gauge(
    "linkedapi_notifications_pending",
    "Notifications that wait for delivery.",
    ("receiver",),
    zeros=_each(),
)
OLDEST_PENDING: Final = _gauge(
    "linkedapi_oldest_pending_notification_timestamp_seconds",
    "Since when the oldest pending notification waits; no series while none does.",
    ("receiver",),
)
PAUSED_UNTIL: Final = _gauge(
    "linkedapi_receiver_paused_until_timestamp_seconds",
    "Until when nothing is sent to a receiver that fails; no series while it isn't paused.",
    ("receiver",),
)
FAILING: Final = _gauge(
    "linkedapi_receiver_failing",
    "Whether the latest attempt to deliver to a receiver failed.",
    ("receiver",),
    zeros=_each(),
)
UNROUTED: Final = _counter(
    "linkedapi_events_unrouted_total",
    "Events that no route matched and no fallback took.",
    zeros=_each(),
)
MUTES_ACTIVE: Final = _gauge(
    "linkedapi_mutes_active",
    "Mutes that hold at the moment, of the configuration and by command.",
    zeros=_each(),
)
ACTS: Final = _counter(
    "linkedapi_acts_total",
    "What people did.",
    ("act", "way"),
    zeros=_each(act=ActKind, way=(Way.CLI,)),
)
STORE_TRANSACTION: Final = _histogram(
    "linkedapi_store_transaction_duration_seconds",
    "How long transactions of the database took, the commit included.",
    ("kind",),
    zeros=_each(kind=("read", "write")),
    buckets=_STORE_BUCKETS,
)
STORE_WAIT: Final = _histogram(
    "linkedapi_store_wait_seconds",
    "How long work waited for its turn with the database.",
    ("kind",),
    zeros=_each(kind=("read", "write")),
    buckets=_STORE_BUCKETS,
)
LOG_DROPPED: Final = _counter(
    "linkedapi_log_lines_dropped_total",
    "Lines of the log that nobody read in time, or that could not be written.",
    zeros=_each(),
)
HELD: Final = _gauge(
    "linkedapi_workspaces_held",
    "How many workspaces this monitor works on; others may work on the rest.",
    zeros=_each(),
)
CONFIGURED: Final = _gauge(
    "linkedapi_workspaces_configured",
    "How many workspaces the configuration of this monitor has.",
    zeros=_each(),
)
BUILD_INFO: Final = _gauge(
    "linkedapi_monitor_build_info", "The version of the monitor.", ("version",)
)
RELOADED: Final = _gauge(
    "linkedapi_monitor_config_last_reload_successful",
    "1 if the configuration was last loaded without a problem.",
)
RELOADED_AT: Final = _gauge(
    "linkedapi_monitor_config_last_reload_success_timestamp_seconds",
    "When another configuration was last loaded; absent since the start until then.",
)

FAMILIES: Final = tuple(value for value in globals().values() if isinstance(value, Family))
"""All of them, in the order in which they are shown."""

OF_WORKSPACES: Final = [family for family in FAMILIES if "workspace" in family.labels]
OF_ALL_WORKSPACES: Final = [INCIDENTS_OPEN, INCIDENTS]
OF_RECEIVERS: Final = [family for family in FAMILIES if {"receiver", "type"} & {*family.labels}]
OF_MONITOR: Final = [family for family in FAMILIES if family not in OF_WORKSPACES + OF_RECEIVERS]

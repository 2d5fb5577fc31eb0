"""Every metric of ours but those of the process: its name, type and help, and its buckets."""

import functools
from typing import Final

from .piece import Piece, piece

STATUS: Final = "linkedapi_account_status"
INFO: Final = "linkedapi_account_info"
SINCE: Final = "linkedapi_account_status_since_timestamp_seconds"
ACCOUNTS: Final = "linkedapi_accounts"
TRANSITIONS: Final = "linkedapi_account_transitions_total"
UP: Final = "linkedapi_workspace_up"
GOOD_AT: Final = "linkedapi_last_successful_poll_timestamp_seconds"
POLLS: Final = "linkedapi_polls_total"
POLL_SECONDS: Final = "linkedapi_poll_duration_seconds"
OPEN: Final = "linkedapi_incidents_open"
INCIDENTS: Final = "linkedapi_incidents_total"
SESSIONS: Final = "linkedapi_reconnection_sessions_created_total"
REQUESTS: Final = "linkedapi_api_requests_total"
REQUEST_SECONDS: Final = "linkedapi_api_request_duration_seconds"
RECOVERY: Final = "linkedapi_recovery_seconds"
NOTIFICATIONS: Final = "linkedapi_notifications_total"
ATTEMPTS: Final = "linkedapi_notification_attempts_total"
LATENCY: Final = "linkedapi_notification_latency_seconds"
PENDING: Final = "linkedapi_notifications_pending"
OLDEST: Final = "linkedapi_oldest_pending_notification_timestamp_seconds"
UNROUTED: Final = "linkedapi_events_unrouted_total"

FAMILIES: Final = {
    STATUS: ("gauge", "1 for the present status of an account."),
    INFO: ("gauge", "1 for each account, with its name and country."),
    SINCE: ("gauge", "When the present status of an account was first seen."),
    ACCOUNTS: ("gauge", "Accounts by their last known status."),
    TRANSITIONS: ("counter", "Changes of an account's status; absent: not in the account list."),
    UP: ("gauge", "1 if the latest poll read the workspace, 0 if it failed or there was none yet."),
    GOOD_AT: ("gauge", "When the account list was last read."),
    POLLS: ("counter", "Polls of the account list by how they ended."),
    POLL_SECONDS: ("histogram", "How long polls took."),
    OPEN: ("gauge", "Open incidents by cause."),
    INCIDENTS: ("counter", "What happened to incidents."),
    SESSIONS: ("counter", "Reconnection sessions asked for, by outcome."),
    REQUESTS: ("counter", "Calls of Linked API by how they ended."),
    REQUEST_SECONDS: ("histogram", "How long calls of Linked API took."),
    RECOVERY: (
        "histogram",
        "From the detection of an account's problem to each phase of its recovery.",
    ),
    NOTIFICATIONS: ("counter", "Notifications that came to an end."),
    ATTEMPTS: ("counter", "Attempts to hand a message over."),
    LATENCY: (
        "histogram",
        "From the commit of a message to its acceptance by the receiver.",
    ),
    PENDING: ("gauge", "Notifications that wait for delivery."),
    OLDEST: (
        "gauge",
        "Since when the oldest pending notification waits; no series while none does.",
    ),
    UNROUTED: ("counter", "Events that no route matched and no fallback took."),
}
"""Type and help of every metric in here, in the order in which they are shown."""

_CALL_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELIVERY_SECONDS: Final = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 900.0, 3600.0, 14400.0, 86400.0),
)
_RECOVERY_SECONDS: Final = (
    *(5.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0),
    *(7200.0, 14400.0, 28800.0, 86400.0, 172800.0, 604800.0),
)
BUCKETS: Final = {
    POLL_SECONDS: _CALL_SECONDS,
    REQUEST_SECONDS: _CALL_SECONDS,
    RECOVERY: _RECOVERY_SECONDS,
    LATENCY: _DELIVERY_SECONDS,
}
"""The upper bounds by which each histogram counts."""


@functools.cache
def header(family: str) -> Piece:
    """Write the lines that introduce a metric."""
    kind, text = FAMILIES[family]
    return piece(f"# HELP {family} {text}\n# TYPE {family} {kind}\n")

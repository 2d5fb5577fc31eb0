"""Says what has been committed: a log line and a count for each thing that happened."""

from collections.abc import Iterable

import structlog

from monitor.core.model import Event
from monitor.metrics import Metrics
from monitor.metrics.families import INCIDENTS, UNROUTED
from monitor.store.outbox import Enqueued

log = structlog.get_logger("incidents")


def publish(events: Iterable[Event], enqueued: Enqueued, metrics: Metrics) -> None:
    """Log and count *events*, what telling them withdrew, and those nobody would hear of."""
    for event in events:
        if event.cause is not None:
            metrics.count(INCIDENTS, workspace=event.workspace, cause=event.cause, event=event.type)
        log.info(
            f"incident {event.type}" if event.incident_id else f"account {event.detail}",
            workspace=event.workspace,
            account=event.account_id,
            incident=event.incident_id,
            cause=event.cause,
        )
    for one in enqueued.cancelled:
        metrics.settled(one.receiver, one.event, one.outcome)
    for event in enqueued.unrouted:
        metrics.count(UNROUTED)
        log.warning(
            "nobody is told: no route matches and there is no fallback",
            workspace=event.workspace,
            account=event.account_id,
            what=event.type,
            cause=event.cause,
        )

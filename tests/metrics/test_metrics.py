import threading
from concurrent.futures import ThreadPoolExecutor

from harness.core import NOON
from harness.metrics import MetricsHarness, account, page_of

from monitor.core.model import Status, Transition
from monitor.metrics.families import UNROUTED


def test_appearing_and_disappearing_are_transitions_with_absent(metrics):
    metrics.transition(Transition("acme", "a1", None, Status.ACTIVE, NOON))
    metrics.transition(Transition("acme", "a1", Status.FROZEN, None, NOON))

    name = "linkedapi_account_transitions_total"
    appeared = {"workspace": "acme", "from": "absent", "to": "active"}
    disappeared = {"workspace": "acme", "from": "frozen", "to": "absent"}
    assert (metrics.value(name, **appeared), metrics.value(name, **disappeared)) == (1, 1)


def test_the_oldest_pending_notification_has_no_series_while_none_waits(metrics):
    name = "linkedapi_oldest_pending_notification_timestamp_seconds"
    for count, oldest_at, shown in (0, None, None), (3, NOON, NOON / 1_000_000), (0, None, None):
        metrics.pending("ops", count, oldest_at)

        assert metrics.value(name, receiver="ops") == shown
        assert metrics.value("linkedapi_notifications_pending", receiver="ops") == count


def test_a_receiver_that_left_the_configuration_is_of_unknown_type(metrics):
    metrics.settled("gone", "opened", "cancelled")

    labels = {"receiver": "gone", "type": "unknown", "event": "opened", "outcome": "cancelled"}
    assert metrics.value("linkedapi_notifications_total", **labels) == 1


def test_there_are_the_declared_workspaces_and_no_others(metrics):
    metrics.fill()

    metrics.declare(workspaces=["beta"], receivers={"ops": "slack"})
    metrics.fill()

    assert not [labels for _, labels in metrics.series() if ("workspace", "acme") in labels]
    assert metrics.value("linkedapi_workspace_up", workspace="beta") == 0


def test_what_was_counted_of_a_workspace_that_stays_outlives_a_declaration(metrics):
    metrics.fill()
    before = metrics.series()

    metrics.declare(workspaces=["acme", "beta"], receivers={"ops": "slack"})

    after = metrics.series()
    assert before.items() <= after.items()


def test_what_was_counted_of_a_receiver_outlives_it_and_it_pends_only_while_configured(metrics):
    metrics.fill()

    for _ in range(2):
        metrics.declare(workspaces=["acme"], receivers={"crm": "webhook"})

    pending = {labels for name, labels in metrics.series() if "pending" in name}
    assert pending == {frozenset({("receiver", "crm")})}
    delivered = {"receiver": "ops", "type": "slack", "event": "opened", "outcome": "delivered"}
    assert metrics.value("linkedapi_notifications_total", **delivered) == 1
    metrics.settled("ops", "opened", "delivered")
    assert metrics.value("linkedapi_notifications_total", **delivered) == 2

    metrics.declare(workspaces=["acme"], receivers={"ops": "slack"})
    assert metrics.value("linkedapi_notifications_pending", receiver="ops") == 0


def test_scrapes_and_counting_from_threads_do_not_disturb_each_other(metrics):
    finished = threading.Event()
    scraped = []
    names = [f"workspace-{number}" for number in range(300)]

    def count():
        for number, name in enumerate(names, start=1):
            metrics.declare(workspaces=names[:number], receivers={})
            metrics.polled(name, "ok", 0.1)
            metrics.show(account(), name=name)
        finished.set()

    def watch():
        while not finished.is_set() or not scraped:
            scraped.append(page_of(metrics))

    with ThreadPoolExecutor() as pool:
        for thread in [pool.submit(target) for target in (count, watch, watch)]:
            thread.result()

    assert page_of(metrics).count('outcome="ok"} 1\n') >= 300


def test_two_monitors_in_one_process_share_nothing():
    first, second = MetricsHarness(), MetricsHarness()

    first.count(UNROUTED)

    assert second.value("linkedapi_events_unrouted_total") == 0

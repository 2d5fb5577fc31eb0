from harness.core import NOON
from harness.metrics import text_of

from monitor.metrics.families import LATENCY, OLDEST_PENDING, UNROUTED
from monitor.metrics.series import Series


def texts(series):
    return {family.name: text_of(chunk).decode() for family, chunk in series.chunks().items()}


def test_a_poll_falls_into_its_buckets(metrics):
    metrics.polled("acme", "ok", 0.25)
    metrics.polled("acme", "ok", 0.3)
    metrics.polled("acme", "unreachable", 40)

    buckets = [
        metrics.value("linkedapi_poll_duration_seconds_bucket", workspace="acme", le=le)
        for le in ("0.25", "0.5", "30.0", "+Inf")
    ]

    assert buckets == [1, 2, 2, 3]
    assert metrics.value("linkedapi_poll_duration_seconds_sum", workspace="acme") == 40.55


def test_a_gauge_that_is_none_has_no_series_and_a_metric_without_series_no_chunk():
    series = Series()
    for value in (None, NOON, None, 7):
        series.set(OLDEST_PENDING, value, receiver="ops")
        expected = {} if value is None else {OLDEST_PENDING.name: f'{{receiver="ops"}} {value}\n'}
        assert texts(series) == {name: name + end for name, end in expected.items()}


def test_labels_stand_in_the_order_of_their_metric_after_the_common_ones():
    series = Series('workspace="acme"')
    series.count(UNROUTED, receiver="ops")
    series.observe(LATENCY, 100_000, receiver="ops", type="slack")

    shown = texts(series)
    assert shown[UNROUTED.name] == UNROUTED.name + '{workspace="acme"} 1\n'
    assert shown[LATENCY.name].splitlines()[-3:] == [
        LATENCY.name + '_bucket{workspace="acme",type="slack",le="+Inf"} 1',
        LATENCY.name + '_sum{workspace="acme",type="slack"} 100000',
        LATENCY.name + '_count{workspace="acme",type="slack"} 1',
    ]


def test_what_is_counted_of_a_workspace_is_not_counted_of_another(metrics):
    metrics.declare(workspaces=["acme", "beta"], receivers={})
    metrics.polled("acme", "ok", 0.3)

    for name in ("polls_total", "poll_duration_seconds_count"):
        labels = {"outcome": "ok"} if name == "polls_total" else {}
        assert metrics.value(f"linkedapi_{name}", workspace="acme", **labels) == 1
        assert metrics.value(f"linkedapi_{name}", workspace="beta", **labels) == 0


def test_only_what_changed_is_written_again(metrics):
    metrics.fill()

    def poll():
        metrics.polled("acme", "ok", 0.3)
        metrics.poll_succeeded("acme", NOON + 60_000_000)

    assert metrics.rewritten(lambda: None) == []
    assert [text.partition(b"{")[0].decode() for text in metrics.rewritten(poll)] == [
        "linkedapi_last_successful_poll_timestamp_seconds",
        "linkedapi_polls_total",
        "linkedapi_poll_duration_seconds_bucket",
    ]

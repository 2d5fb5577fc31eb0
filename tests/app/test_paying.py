"""When the workers ask how their workspaces are paid for."""

from harness.program import until

from monitor.core.subscription import Conditions

STATUS = "subscription.getStatus"


async def poll(harness, name="acme"):
    """Poll as the worker does it, an hour later."""
    harness.seconds += 3600
    await harness.workers.workspaces[name]._poll(scheduled=True)


def due_in(harness):
    """In how many seconds each workspace may ask first."""
    workers = harness.workers.workspaces.values()
    return [round(worker.subscription._due_at - harness.seconds, 3) for worker in workers]


def asked(harness):
    return harness.simulator.request_log.counts.get(STATUS, 0)


async def test_a_worker_asks_after_a_poll(harness):
    await harness.apply("acme", paying={"every": "30m"})

    harness.workers.wake_workspace("acme")

    await until(lambda: asked(harness) == 1)


async def test_the_more_workspaces_there_are_the_later_they_first_ask(harness):
    harness.jitter = 0.5

    await harness.apply(*(f"w{number}" for number in range(10)), paying={"every": "30m"})

    assert due_in(harness) == [1.0] * 10


async def test_nobody_asks_later_at_first_than_every_time(harness):
    harness.jitter = 0.5

    names = (f"w{number}" for number in range(400))
    await harness.apply(*names, paying={"every": "1m"})

    assert set(due_in(harness)) == {30.0}


async def test_what_is_wrong_is_read_first_by_who_takes_a_workspace_of_which_something_is(harness):
    await harness.apply("acme", "beta", paying={"every": "30m"})
    harness.simulator.set_subscription("acme", "past_due")
    await poll(harness)
    await poll(harness, "beta")
    await harness.workers.stop_workspaces(["acme", "beta"])

    await harness.balance()

    workers = harness.workers.workspaces
    assert workers["acme"].subscription.conditions is None
    assert workers["beta"].subscription.conditions == Conditions()


async def test_who_asks_no_more_after_a_reload_does_not_leave_an_incident_open(harness):
    await harness.apply("acme", paying={"every": "30m"})
    harness.simulator.set_subscription("acme", "past_due")
    await poll(harness)
    opened = 'linkedapi_incidents_open{workspace="acme",cause="subscription"}'
    assert f"{opened} 1" in harness.metric

    await harness.apply("acme", paying=False)
    await poll(harness)

    assert f"{opened} 0" in harness.metric
    assert asked(harness) == 1


async def test_another_rhythm_counts_after_a_reload(harness):
    await harness.apply("acme", paying={"every": "7d"})
    await poll(harness)
    await poll(harness)
    assert asked(harness) == 1

    await harness.apply("acme", paying={"every": "30m"})
    await poll(harness)
    await poll(harness)

    assert asked(harness) == 3

"""Sessions that go another way than expected, and what the polls make of them."""

import pytest
from harness.poll import poll_harness

RESOLVED = ("resolved", "reconnection_required")


@pytest.fixture
async def harness(tmp_path):
    """One account, signed out, with a link."""
    async with poll_harness(tmp_path, create=True) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "a1")
        assert await harness.poll() == [("opened", "reconnection_required")]
        yield harness
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.odd_input("list lags behind a login")
@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize("opens", [True, False])
async def test_a_login_that_the_list_shows_only_later_is_one_incident(harness, lag, opens):
    harness.simulator.tune(lag_polls=lag, lag_opens_session=opens)
    for status in ("preparing", "serving", "streaming"):
        harness.simulator.set_session("acme", "a1", status)
        assert await harness.poll() == []
    harness.simulator.set_session("acme", "a1", "success")

    assert await harness.poll(lag) == []
    assert await harness.poll() == [RESOLVED]


@pytest.mark.odd_input("session expires before a reminder", "session fails or is cancelled")
@pytest.mark.parametrize("statuses", [["expired"], ["serving", "error"], ["serving", "cancelled"]])
async def test_a_session_that_ends_leaves_the_incident_with_a_new_link(harness, statuses):
    before = harness.session()
    for status in statuses:
        harness.simulator.set_session("acme", "a1", status)

    assert await harness.poll(3) == []
    assert harness.session().link not in {None, before.link}


@pytest.mark.odd_input("session replaced by somebody else")
async def test_a_link_replaced_by_somebody_else_is_taken_over_without_a_word(harness):
    session = harness.simulator.rotate_link("acme", "a1")

    assert await harness.poll() == []
    assert harness.session().id == session.id


@pytest.mark.odd_input("session goes backwards")
async def test_a_session_that_goes_backwards_changes_nothing(harness):
    for status in ("streaming", "pending", "serving", "preparing", "pending"):
        harness.simulator.set_session("acme", "a1", status)
        assert await harness.poll() == []
    harness.simulator.set_session("acme", "a1", "success")

    assert await harness.poll() == [RESOLVED]

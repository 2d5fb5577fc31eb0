import pytest

OTHER_TOKEN = {"linked-api-token": "linked_other"}


@pytest.fixture
def status(call):
    """Call `accounts.getAll` and return the status of the response."""

    async def status_of(**headers):
        return (await call("accounts.getAll", **headers)).status_code

    return status_of


async def test_the_hundred_and_first_call_of_a_minute_is_refused(call, status):
    assert {await status() for _ in range(100)} == {200}

    response = await call("accounts.getAll")

    assert response.status_code == 429
    assert response.json()["error"]["type"] == "tooManyRequests"
    assert "retry-after" not in response.headers


async def test_the_window_slides(simulator, status):
    simulator.tune(rate_limit=2)
    await status()
    simulator.advance(40)
    await status()
    simulator.advance(20)

    assert [await status() for _ in range(2)] == [200, 429]


async def test_a_fixed_window_starts_anew(simulator, call, status):
    simulator.tune(rate_limit=2, rate_counting="fixed", retry_after=True)
    simulator.advance(50)
    before = [await status() for _ in range(2)]

    refused = await call("accounts.getAll")
    simulator.advance(10)
    after = [await status() for _ in range(2)]

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "10"
    assert before == after == [200, 200]


@pytest.mark.parametrize(
    ("assumptions", "pauses", "retry_after"),
    [
        ({"rate_limit": 1}, [15], "45"),
        ({"rate_limit": 1, "rate_counts_rejected": True}, [40, 40], "60"),
        ({"rate_limit": 0}, [], "60"),
    ],
)
async def test_a_refusal_may_carry_how_long_to_wait(
    simulator, call, assumptions, pauses, retry_after
):
    simulator.tune(retry_after=True, **assumptions)
    for pause in pauses:
        await call("accounts.getAll")
        simulator.advance(pause)

    response = await call("accounts.getAll")

    assert response.status_code == 429
    assert response.headers["retry-after"] == retry_after


async def test_each_token_has_a_limit_of_its_own_unless_it_is_shared(simulator, status):
    simulator.tune(rate_limit=1)
    simulator.add_customer("other", "linked_other")
    await status()

    own = await status(**OTHER_TOKEN)
    simulator.tune(rate_scope="all", rate_limit=1)
    simulator.advance(60)
    await status()
    shared = await status(**OTHER_TOKEN)

    assert (own, shared) == (200, 429)

import httpx
import pytest

from monitor.simulator import Simulator, serve


@pytest.fixture
def link(sim, http, get_all):
    """Sign out Jane and follow her link to the simulator itself."""
    sim.tune(link_base=f"{http.base_url}/connection/")
    sim.add_account("acme", name="Jane <Doe>", status="reconnection_required")

    async def fresh() -> str:
        return (await get_all())["accounts"][0]["reconnectionLink"]

    return fresh


async def test_the_page_offers_a_login_and_names_the_account(link, http):
    page = await http.get(await link())

    assert page.status_code == 200
    assert "Simulated LinkedIn login" in page.text
    assert "Jane &lt;Doe&gt;" in page.text
    assert '<form method="post">' in page.text


async def test_logging_in_makes_the_account_active(sim, link, http, get_all):
    address = await link()

    page = await http.post(address, data={"outcome": "success"})

    assert "You are logged in" in page.text
    assert (await get_all())["accounts"][0]["status"] == "active"
    assert sim.session(address.rsplit("/", 1)[1])[1].status == "success"


async def test_a_login_may_take_polls_to_show(sim, link, http, get_all):
    sim.tune(lag_polls=1)
    await http.post(await link())

    seen = [(await get_all())["accounts"][0]["status"] for _ in range(2)]

    assert seen == ["reconnection_required", "active"]


@pytest.mark.parametrize("outcome", ["error", "cancelled"])
async def test_a_login_can_fail(sim, link, http, get_all, outcome):
    address = await link()

    await http.post(address, data={"outcome": outcome})

    assert sim.session(address.rsplit("/", 1)[1])[1].status == outcome
    assert (await get_all())["accounts"][0]["status"] == "reconnection_required"


@pytest.mark.parametrize(("starts", "status"), [(True, "serving"), (False, "pending")])
async def test_looking_at_the_page_starts_the_session_if_the_knob_says_so(
    sim, link, http, starts, status
):
    sim.tune(opening_starts_session=starts)
    address = await link()

    await http.get(address)
    await http.get(address)

    assert sim.session(address.rsplit("/", 1)[1])[1].status == status


async def test_asking_for_headers_alone_starts_nothing(sim, link, http):
    address = await link()

    await http.head(address)

    assert sim.session(address.rsplit("/", 1)[1])[1].status == "pending"


async def test_a_session_that_is_over_says_so(link, http):
    address = await link()
    await http.post(address)

    again = await http.post(address)

    assert again.status_code == 410
    assert "success" in again.text


async def test_an_unknown_session_has_no_page(http):
    assert (await http.get("/connection/unknown")).status_code == 404


async def test_a_new_account_can_log_in_as_well(call, http, get_all):
    opened = (await call("accounts.createConnectionSession")).json()["result"]
    path = f"/connection/{opened['sessionId']}"

    page = await http.get(path)
    await http.post(path)

    assert "a new account" in page.text
    assert len((await get_all())["accounts"]) == 1


async def test_a_page_knows_the_sessions_of_every_customer():
    sim = Simulator()
    for name in ("one", "two"):
        sim.add_customer(name, f"linked_{name}")
        sim.add_account(name, "Jane", "reconnection_required")
    session = sim.rotate_link("two", "Jane")

    async with serve(sim) as url, httpx.AsyncClient() as client:
        page = await client.get(f"{url}/connection/{session.id}")

    assert page.status_code == 200

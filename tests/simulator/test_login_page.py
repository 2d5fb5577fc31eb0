import pytest


@pytest.fixture
def session(simulator, http):
    """A session whose link leads to the simulator itself."""
    simulator.tune(link_base=f"{http.base_url}/connection/")
    simulator.add_account("acme", name="Jane <Doe>", status="reconnection_required")
    return simulator.rotate_link("acme", "Jane <Doe>")


async def test_the_page_offers_a_login_and_names_the_account(session, listed, http):
    (account,) = await listed()

    page = await http.get(account["reconnectionLink"])

    assert account["reconnectionLink"] == session.link
    assert page.status_code == 200
    assert "Simulated LinkedIn login" in page.text
    assert "Jane &lt;Doe&gt;" in page.text
    assert '<form method="post">' in page.text


async def test_a_login_may_take_polls_to_show(simulator, session, http, listed):
    simulator.tune(lag_polls=1)
    await http.post(session.link)

    statuses = [(await listed())[0]["status"] for _ in range(2)]

    assert statuses == ["reconnection_required", "active"]


@pytest.mark.parametrize(
    ("outcome", "title"),
    [
        ("success", "You are logged in"),
        ("error", "The login failed"),
        ("cancelled", "The login was cancelled"),
    ],
)
async def test_a_login_succeeds_or_fails(session, http, listed, outcome, title):
    page = await http.post(session.link, data={"outcome": outcome})

    status = "active" if outcome == "success" else "reconnection_required"
    assert title in page.text
    assert session.status == outcome
    assert (await listed())[0]["status"] == status


@pytest.mark.parametrize(("starts", "status"), [(True, "serving"), (False, "pending")])
async def test_opening_the_page_may_start_the_session(simulator, session, http, starts, status):
    simulator.tune(opening_starts_session=starts)

    await http.get(session.link)
    await http.get(session.link)

    assert session.status == status


async def test_asking_for_headers_alone_starts_nothing(session, http):
    await http.head(session.link)

    assert session.status == "pending"


async def test_a_session_that_is_over_or_unknown_has_no_form(session, http):
    await http.post(session.link)

    again = await http.post(session.link)
    unknown = await http.get("/connection/unknown")

    assert (again.status_code, unknown.status_code) == (410, 404)
    assert "success" in again.text


async def test_a_new_account_can_log_in_as_well(result, http, listed):
    opened = await result("accounts.createConnectionSession")
    path = f"/connection/{opened['sessionId']}"

    page = await http.get(path)
    await http.post(path)

    assert "a new account" in page.text
    assert len(await listed()) == 1


async def test_a_session_of_any_customer_has_a_page(simulator, session, http):
    simulator.add_customer("other", "linked_other")
    simulator.add_account("other", "John", "reconnection_required")
    second = simulator.rotate_link("other", "John")

    pages = [await http.get(link) for link in (session.link, second.link)]

    assert [page.status_code for page in pages] == [200, 200]
    assert "John" in pages[1].text

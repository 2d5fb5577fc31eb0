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


async def test_a_session_that_is_over_or_unknown_has_no_form(session, http):
    await http.post(session.link)

    again = await http.post(session.link)
    unknown = await http.get("/connection/unknown")

    assert (again.status_code, unknown.status_code) == (410, 404)
    assert "success" in again.text


@pytest.mark.parametrize(
    ("methods", "starts", "status"),
    [("GET GET", True, "serving"), ("GET", False, "pending"), ("HEAD", True, "pending")],
)
async def test_opening_the_page_may_start_the_session(session, http, methods, starts, status):
    session.runtime.tune(opening_starts_session=starts)

    for method in methods.split():
        await http.request(method, session.link)

    assert session.status == status


async def test_a_new_account_of_any_customer_can_log_in(simulator, http):
    other = simulator.add_customer("other", "linked_other")
    path = f"/connection/{other.open_session().id}"

    page = await http.get(path)
    await http.post(path)

    assert "a new account" in page.text
    assert len(other.accounts) == 1

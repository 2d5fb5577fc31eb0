"""The page behind a session's link, where a person would log in to LinkedIn."""

from html import escape
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from .accounts import SessionStatus
from .state import State, UnknownNameError

OUTCOMES: Final = {
    "success": (SessionStatus.SUCCESS, "You are logged in", "The account works again."),
    "error": (SessionStatus.ERROR, "The login failed", "Ask for another link."),
    "cancelled": (SessionStatus.CANCELLED, "The login was cancelled", "Ask for another link."),
}
FORM: Final = """<p>This page stands in for the login of <strong>{who}</strong>.</p>
<p>Nothing is sent to LinkedIn.</p>
<form method="post">
<button name="outcome" value="success">Log in</button>
<button name="outcome" value="error">Fail to log in</button>
<button name="outcome" value="cancelled">Cancel</button>
</form>"""
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulated LinkedIn login</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1rem;margin-right:.5rem}}</style>
</head>
<body>
<h1>{title}</h1>
{content}
</body>
</html>
"""


def login_page(state: State) -> Route:
    """Make the route of the login page; posting its form ends the session."""

    async def show(request: Request) -> HTMLResponse:
        try:
            customer, session = state.session(request.path_params["session_id"])
        except UnknownNameError:
            return _page("Unknown link", "<p>There is no such session.</p>", status=404)
        if not session.is_active:
            return _page(
                "This link is no longer valid",
                f"<p>The session is over: {session.status}.</p>",
                status=410,
            )
        if request.method == "POST":
            form = parse_qs((await request.body()).decode("utf-8", "replace"))
            status, title, text = OUTCOMES.get(form.get("outcome", [""])[0], OUTCOMES["success"])
            session.move(status)
            return _page(title, f"<p>{text}</p>")
        starts = request.method == "GET" and state.assumptions.opening_starts_session
        if starts and session.status is SessionStatus.PENDING:
            session.move(SessionStatus.SERVING)
        account = customer.accounts.get(session.account_id or "")
        who = "a new account" if account is None else account.name
        return _page("Simulated LinkedIn login", FORM.format(who=escape(who)))

    return Route("/connection/{session_id}", show, methods=["GET", "POST"])


def _page(title: str, content: str, *, status: int = 200) -> HTMLResponse:
    html = PAGE.format(title=title, content=content)
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})

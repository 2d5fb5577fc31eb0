"""The whole chain, as people run it: two processes, a config file, real servers."""

import asyncio
import re

import httpx
import pytest
from harness.program import answers, configure, free_port, hooks, program
from harness.receivers import MailServer

INTERVAL = 1


@pytest.fixture
def mail_server():
    with MailServer() as server:
        yield server


async def test_a_sign_out_reaches_every_receiver_and_so_does_the_recovery(tmp_path, mail_server):
    mails = mail_server.inbox.mails
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    simulated = ("--port", str(port), "--token", "linked_test_token", "--accounts", "0")
    async with (
        hooks() as (hook, hook_url),
        program("simulate", *simulated, log=tmp_path / "simulate.log"),
        httpx.AsyncClient(base_url=f"{api}/control") as control,
    ):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url, smtp=mail_server.port)
        await answers(f"{api}/control/state")
        await control.post("/add_account", json={"customer": "simulated", "name": "Jane Doe"})
        await control.post("/add_accounts", json={"customer": "simulated", "count": 50})
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/readyz")
            await monitor.until_logged("first look")
            account = {"customer": "simulated", "account": "Jane Doe"}

            signed_out_at = asyncio.get_running_loop().time()
            await control.post("/sign_out", json=account)
            await hook.wait(lambda: hook.slack and hook.events and mails)
            took = asyncio.get_running_loop().time() - signed_out_at
            await control.post("/recover", json=account)
            await hook.wait(lambda: len(hook.slack) == len(hook.events) == len(mails) == 2)
            code = await monitor.stop()
            counts = (await control.get("/requests")).json()["result"]["counts"]

    assert took < INTERVAL + 2
    opened, resolved = hook.events
    assert opened["type"] == "incident.opened"
    assert opened["data"]["account"]["name"] == "Jane Doe"
    link = opened["data"]["link"]
    assert link.startswith(f"{api}/connection/")
    assert link in str(hook.slack[0])
    assert link in mails[0].get_body(("plain",)).get_content()
    assert link in mails[0].get_body(("html",)).get_content()
    assert "Jane Doe" in str(hook.slack[0])
    assert "Jane Doe" in mails[0]["subject"]
    assert resolved["type"] == "incident.resolved"
    assert resolved["data"]["incident"]["duration_seconds"] >= 0
    assert resolved["data"]["incident"]["id"] == opened["data"]["incident"]["id"]
    assert re.search(r"\d+ s\b", str(hook.slack[1]))
    assert re.search(r"\d+ s\b", mails[1].get_body(("plain",)).get_content())
    asked = {"subscription.getStatus": 1, "subscription.getSeats": 1}
    assert counts == {"accounts.getAll": counts["accounts.getAll"], **asked}
    assert counts["accounts.getAll"] <= took + 10  # one a second, whatever the number of accounts
    assert "cycle failed" not in monitor.output()
    assert code == 0

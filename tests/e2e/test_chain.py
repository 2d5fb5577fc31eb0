"""The whole chain, as people run it: two processes, a config file, real servers."""

import asyncio
import re

import httpx
from program import Program, answers, configure, free_port, hooks, mailbox

INTERVAL = 1
SLACK_TEXT = "Jane Doe"


async def test_a_sign_out_reaches_every_receiver_and_so_does_the_recovery(tmp_path):
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    async with hooks() as (hook, hook_url), mailbox() as (mails, smtp):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url, smtp=smtp)
        simulate = await Program.start(
            "simulate", "--port", str(port), "--token", "linked_test_token", "--accounts", "0",
            log=tmp_path / "simulate.log",
        )  # fmt: skip
        await answers(f"{api}/control/state")
        async with httpx.AsyncClient(base_url=f"{api}/control") as control:
            await control.post("/add_account", json={"customer": "simulated", "name": "Jane Doe"})
            await control.post("/add_accounts", json={"customer": "simulated", "count": 50})
            monitor = await Program.start("run", "-c", str(file), log=tmp_path / "run.log")
            await answers(f"{endpoint}/readyz")
            account = {"customer": "simulated", "account": "Jane Doe"}
            await _until_polled(control)

            loop = asyncio.get_running_loop()
            signed_out_at = loop.time()
            await control.post("/sign_out", json=account)
            await hook.wait(lambda: hook.slack and hook.events and mails.mails)
            took = loop.time() - signed_out_at
            await control.post("/recover", json=account)
            await hook.wait(lambda: len(hook.slack) == len(hook.events) == len(mails.mails) == 2)
            calls = (await control.get("/requests")).json()["counts"]
            metrics = (await httpx.AsyncClient().get(f"{endpoint}/metrics")).text
        code = await monitor.stop()
        await simulate.stop()

    assert took < INTERVAL + 2
    opened, resolved = hook.events
    assert opened["type"] == "incident.opened"
    assert opened["data"]["account"]["name"] == "Jane Doe"
    link = opened["data"]["link"]
    assert link.startswith(f"{api}/connection/")
    assert link in str(hook.slack[0])
    assert link in mails.mails[0].get_body(("plain",)).get_content()
    assert link in mails.mails[0].get_body(("html",)).get_content()
    assert "Jane Doe" in str(hook.slack[0])
    assert "Jane Doe" in mails.mails[0]["subject"]
    assert resolved["type"] == "incident.resolved"
    assert resolved["data"]["incident"]["duration_seconds"] >= 0
    assert resolved["data"]["incident"]["id"] == opened["data"]["incident"]["id"]
    assert re.search(r"\d+ s\b", str(hook.slack[1]))
    assert re.search(r"\d+ s\b", mails.mails[1].get_body(("plain",)).get_content())
    assert set(calls) == {"accounts.getAll"}
    polls = re.search(r'linkedapi_polls_total\{.*outcome="ok".*\} ([\d.]+)', metrics)
    assert abs(float(polls[1]) - calls["accounts.getAll"]) <= 1  # one may be on its way
    assert code == 0


async def _until_polled(control):
    """Wait until the monitor has taken its first look."""
    for _ in range(200):
        if (await control.get("/requests")).json()["counts"].get("accounts.getAll"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the monitor did not poll")

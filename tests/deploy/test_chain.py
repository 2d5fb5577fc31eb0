"""Simulator → monitor → Prometheus → rule → Alertmanager → webhook, and → our own alert."""

import asyncio
import subprocess

import httpx
import pytest
from observatory import missing, observatory, panels, questions

from deploy.grafana.picture import pages

PATIENCE = 45.0
GRAPHS = {"timeseries", "state-timeline"}
RUNBOOK = "/docs/runbooks/LinkedApiAccountNeedsLogin.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"{missing()} is not installed"),
]


async def test_both_ways_tell_of_the_account_and_every_panel_has_something_to_show(tmp_path):
    async with asyncio.timeout(120), observatory(tmp_path) as around:
        jane = await around.act("add_account", name="Jane Doe")
        await around.act("add_account", name="John Smith")
        await around.act("add_account", name="Li Wei")
        await around.act("add_accounts", "globex", count=9)
        await until(lambda: shows(around, 'sum(linkedapi_accounts{status="active"}) == 12'))

        around.chat.status = 500  # so that its notifications wait
        await around.act("sign_out", account="Jane Doe")
        await around.act("freeze", account="John Smith")
        await around.act("patch", account="Li Wei", fields={"status": "limited"})
        await around.act("add_fault", "globex", kind="respond", status=503, times=3)
        await around.own.wait(lambda: told(around.own.events, "incident.opened", jane["id"]))
        await until_paged(around, jane["id"], "Jane Doe needs to log in", RUNBOOK)
        accounts = await around.ask('ALERTS{alertname=~"LinkedApiAccount.*"}')
        checked = await check_metrics(around.endpoint)

        around.chat.status = 404  # so that they are given up
        await around.act("recover", account="Jane Doe")
        await around.own.wait(lambda: told(around.own.events, "incident.resolved", jane["id"]))
        await until_paged(around, jane["id"], "Over: Jane Doe")
        empty = await unanswered(around)
        drawn = await asyncio.to_thread(pages, str(around.prometheus.base_url), around.span())

    assert (jane["id"], "Jane Doe") in {
        (one["metric"]["account_id"], one["metric"]["name"]) for one in accounts
    }
    assert checked == (0, "")
    assert empty == []
    html = "".join(page for page, _ in drawn.values())
    assert "John Smith (acme)" in html  # who was down when
    assert html.count("<svg") == len([one for one in panels() if one["type"] in GRAPHS])


def told(events, kind, account):
    """Return whether the monitor's own alert of this kind has come."""
    of_accounts = [event for event in events if event["data"]["account"]]
    return (kind, account) in [(one["type"], one["data"]["account"]["id"]) for one in of_accounts]


async def until_paged(around, account, *words):
    """Wait until Alertmanager has told of the account in a message with all *words*."""

    def has_come():
        texts = [str(message) for message in around.pager.slack if account in str(message)]
        return any(all(word in text for word in words) for text in texts)

    await around.pager.wait(has_come, PATIENCE)


async def shows(around, expr):
    return bool(await around.ask(expr))


async def unanswered(around):
    """Wait until every query of every panel has a number; return which have not by then."""
    waiting = questions()
    assert len(waiting) > 40
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while waiting and loop.time() < deadline:
        waiting = [query for query in waiting if not await around.has_answer(query)]
    return [(query.panel, query.letter) for query in waiting]


async def check_metrics(endpoint):
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"{endpoint}/metrics")).content
    promtool = ("promtool", "check", "metrics")
    run = await asyncio.to_thread(
        subprocess.run, promtool, input=metrics, capture_output=True, check=False
    )
    return run.returncode, (run.stdout + run.stderr).decode()


async def until(holds):
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.2)

"""Simulator → monitor → Prometheus → rule → Alertmanager → webhook, and → our own alert."""

import asyncio
import json

import httpx
import pytest
from harness.dashboards import load_queries
from harness.full_stack import full_stack, missing_program, running_alertmanager
from harness.program import answers, free_port, hooks

MAX_WAIT = 45.0
HOSTILE = "<!channel> “Eve” <http://evil.example|here> *x* & `{{ 7*7 }}` @here"
RUNBOOK = "/docs/runbooks/LinkedApiAccountNeedsLogin.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_program()), reason=f"{missing_program()} is not installed"),
]


async def test_both_ways_tell_of_the_account_and_every_panel_has_something_to_show(tmp_path):
    async with asyncio.timeout(120), full_stack(tmp_path) as stack:
        jane = await stack.simulate("add_account", name="Jane Doe")
        await stack.simulate("add_account", name="John Smith")
        await stack.simulate("add_account", name="Li Wei")
        eve = await stack.simulate("add_account", name=HOSTILE)
        await stack.simulate("add_accounts", "globex", count=9)
        await until_true(stack, 'sum(linkedapi_accounts{status="active"}) == 13')

        stack.monitor.hang_up()
        stack.chat.status = 500  # so that its notifications wait
        await stack.simulate("sign_out", account="Jane Doe")
        await stack.simulate("freeze", account="John Smith")
        await stack.simulate("sign_out", account=eve["id"])
        await stack.simulate("patch", account="Li Wei", fields={"status": "limited"})
        await stack.simulate("add_fault", "globex", kind="respond", status=503, times=3)
        await stack.crm.wait(lambda: has_event(stack.crm, "incident.opened", jane["id"]))
        await until_paged(stack, jane["id"], "“Jane Doe” needs to log in", RUNBOOK)
        await until_paged(stack, eve["id"], "“‹!channel› 'Eve' ", "needs to log in", RUNBOOK)
        alerts = await stack.query('ALERTS{alertname=~"LinkedApiAccount.*"}')

        stack.chat.status = 404  # so that they are given up
        await stack.simulate("recover", account="Jane Doe")
        await stack.crm.wait(lambda: has_event(stack.crm, "incident.resolved", jane["id"]))
        await until_paged(stack, jane["id"], "Over: “Jane Doe”")
        without_number = await wait_for_numbers(stack)
        (timeline,) = [query for query in load_queries() if query.panel == "Who was down when"]
        down = await stack.query_panel(timeline)
        who, _ = [query for query in load_queries() if query.panel == "Who is down, since when"]
        now_down = await stack.query_panel(who)

    assert (jane["id"], "Jane Doe") in label_values(alerts, "account_id", "name")
    assert without_number == []
    assert ("John Smith", "acme") in label_values(down, "name", "workspace")
    assert ("John Smith", "LinkedApiAccountFrozen") in label_values(now_down, "name", "runbook")
    assert all(
        url.startswith("https://www.linkedin.com/in/") for (url,) in label_values(now_down, "url")
    )


async def test_what_alertmanager_hands_to_slack_has_no_markup_of_others(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    labels = {"alertname": "LinkedApiAccountFrozen", "workspace": "acme", "name": HOSTILE}
    texts = {"summary": f"“{HOSTILE}” is frozen", "description": HOSTILE, "runbook_url": "x"}
    async with (
        hooks() as (slack, url),
        running_alertmanager(tmp_path, address, f"{url}/slack"),
        httpx.AsyncClient(base_url=f"http://{address}") as alertmanager,
    ):
        await answers(f"http://{address}/-/ready")
        alerts = [{"labels": labels, "annotations": texts}]
        assert (await alertmanager.post("/api/v2/alerts", json=alerts)).is_success
        await slack.wait(lambda: slack.slack, MAX_WAIT)

    sent = json.dumps(slack.slack, ensure_ascii=False)
    assert "&lt;!channel&gt; “Eve” &lt;http://evil.example|here&gt; *x* &amp; `{{ 7*7 }}`" in sent
    assert sent.count("Eve") == 2, "in summary and description, and in no fallback"
    assert not set("<>") & set(sent)
    (attachment,) = slack.slack[0]["attachments"]
    assert attachment["mrkdwn_in"] == ["pretext"]


def has_event(webhook, kind, account_id):
    """Return whether the monitor has sent an event of this kind about the account."""
    return any(
        event["type"] == kind and (event["data"]["account"] or {}).get("id") == account_id
        for event in webhook.events
    )


async def until_paged(stack, account_id, *words):
    """Wait until Alertmanager has sent a message about the account with all *words*."""

    def has_come():
        texts = [str(message) for message in stack.pager.slack if account_id in str(message)]
        return any(all(word in text for word in words) for text in texts)

    await stack.pager.wait(has_come, MAX_WAIT)


async def until_true(stack, expr):
    """Wait until Prometheus has a series for *expr*."""
    async with asyncio.timeout(MAX_WAIT):
        while not await stack.query(expr):
            await asyncio.sleep(0.2)


async def wait_for_numbers(stack):
    """Wait until every query of every panel has a number; return which have not by then."""
    waiting = load_queries()
    assert len(waiting) > 40
    loop = asyncio.get_running_loop()
    deadline = loop.time() + MAX_WAIT
    while waiting and loop.time() < deadline:
        waiting = [query for query in waiting if not await stack.has_number(query)]
    return [(query.panel, query.ref_id) for query in waiting]


def label_values(result, *labels):
    return {tuple(series["metric"][label] for label in labels) for series in result}

"""The program as people start it: what they see, and how it ends."""

import asyncio
import json
import re
import sqlite3

from harness.program import answers, configure, free_port, hooks, program

from monitor.simulator import Simulator, serve


def simulated(*, accounts=2, token="linked_test_token"):
    simulator = Simulator(seed=4)
    simulator.add_customer("acme", token)
    simulator.add_accounts("acme", accounts)
    return simulator


async def test_the_demo_tells_its_story_within_half_a_minute_and_ends(tmp_path):
    async with program("demo", "--port", "0", log=tmp_path / "demo.log") as demo:
        code = await demo.ended(patience=40)

    said = demo.said()
    assert code == 0, said
    for part in (
        "Watching 6 simulated accounts",
        "/metrics",
        "Jane Doe is signed out of LinkedIn",
        "[Reconnect] http://127.0.0.1:",
        "Jane Doe is active again",
        "Lasted: ",
        "6 accounts are frozen",
    ):
        assert part in said
    assert not re.search(r"error|warning|Traceback", said)


async def test_with_only_a_token_it_runs_and_alerts_in_its_log(tmp_path):
    simulator = simulated(token="linked_only_this")
    async with serve(simulator) as api:
        port = free_port()
        env = {
            "LINKED_API_TOKEN": "linked_only_this",
            "LINKED_API_BASE_URL": api,
            "LINKEDAPI_MONITOR_LISTEN": f"127.0.0.1:{port}",
            "LINKEDAPI_MONITOR_STORAGE_URL": f"sqlite:///{tmp_path}/only.db",
        }
        simulator.sign_out("acme", "*")
        async with program("run", log=tmp_path / "run.log", env=env) as monitor:
            await answers(f"http://127.0.0.1:{port}/readyz")
            async with asyncio.timeout(10):
                while not [one for one in monitor.lines() if one["logger"] == "alert"]:
                    await asyncio.sleep(0.05)
            async with program("healthcheck", log=tmp_path / "health.log", env=env) as check:
                assert await check.ended() == 0
            assert await monitor.stop() == 0

    assert json.loads(check.said()) == {"status": "ok"}
    assert "no receivers are configured" in monitor.said()


async def test_a_taken_port_is_one_clear_line(tmp_path):
    async with serve(simulated()) as api, hooks() as (_, hook_url):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url)
        async with program("run", "-c", str(file), log=tmp_path / "first.log"):
            await answers(f"{endpoint}/healthz")
            file.write_text(file.read_text().replace("monitor.db", "other.db"))
            async with program("run", "-c", str(file), log=tmp_path / "second.log") as second:
                assert await second.ended() == 1

    (line,) = second.lines()
    assert "another program listens there" in line["message"]


async def test_of_two_monitors_on_one_database_the_first_ends(tmp_path):
    simulator = simulated()
    async with serve(simulator) as api, hooks() as (_, hook_url):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url)
        async with program("run", "-c", str(file), log=tmp_path / "first.log") as first:
            await answers(f"{endpoint}/healthz")
            port = endpoint.rpartition(":")[2]
            file.write_text(file.read_text().replace(f"127.0.0.1:{port}", "127.0.0.1:0"))
            async with program("run", "-c", str(file), log=tmp_path / "second.log") as second:
                await second.until_said("started")
                simulator.sign_out("acme", "*")

                assert await first.ended() == 1
                assert second.process.returncode is None

    assert "one monitor a database" in first.said()


async def test_a_database_that_fails_turns_readiness_red_and_loses_nothing(tmp_path):
    simulator = simulated()
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url)
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/readyz")
            await monitor.until_said("first look")
            break_database(tmp_path, "ALTER TABLE event RENAME TO gone")
            simulator.sign_out("acme", "*")

            await answers(f"{endpoint}/readyz", status=503)
            await answers(f"{endpoint}/healthz")  # a restart would not help
            polls = len(simulator.requests)
            async with asyncio.timeout(20):
                while len(simulator.requests) < polls + 3:
                    await asyncio.sleep(0.05)
            assert hook.events == []
            break_database(tmp_path, "ALTER TABLE gone RENAME TO event")
            await hook.wait(lambda: len(hook.events) == 2)
            await answers(f"{endpoint}/readyz")
            assert await monitor.stop() == 0

    failed = [one["error"] for one in monitor.lines() if one["event"] == "cycle failed"]
    assert failed
    assert len(failed) == len(set(failed)), "what fails is said once, not at every cycle"
    assert "cycles work again" in monitor.said()
    assert "unexpectedly" not in monitor.said()


def break_database(folder, statement):
    database = sqlite3.connect(folder / "monitor.db", timeout=10)
    database.execute(statement)
    database.commit()
    database.close()

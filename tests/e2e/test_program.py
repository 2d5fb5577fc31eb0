"""The program as people start it: what they see, and how it ends."""

import json
import re
import socket
from contextlib import ExitStack, suppress

from harness.program import answers, free_port, program, until
from harness.running_monitor import install, simulated

from monitor import __version__
from monitor.cli.demo import PORT
from monitor.simulator import serve


async def test_the_demo_shows_its_scenario_within_half_a_minute_on_any_port_and_ends(tmp_path):
    env = {"http_proxy": "http://127.0.0.1:9"}  # none of it leaves this machine
    with ExitStack() as stack:
        with suppress(OSError):  # else another program has it
            stack.enter_context(socket.create_server(("127.0.0.1", PORT)))
        async with program("demo", log=tmp_path / "demo.log", env=env) as demo:
            code = await demo.ended(within=40)

    output = demo.output()
    assert code == 0, output
    for part in (
        f"Port {PORT} is taken by another program; this takes another one.",
        "Watching 6 simulated accounts",
        "/metrics",
        "“Jane Doe” is signed out of LinkedIn",
        "[Reconnect] http://127.0.0.1:",
        "“Jane Doe” is active again",
        "Lasted: ",
        "6 accounts are frozen by Linked API, as the subscription is not active",
        "The Linked API subscription of demo is in order again",
    ):
        assert part in output
    assert not re.search(r"error|warning|Traceback", output)


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
            await until(lambda: any(line["logger"] == "alert" for line in monitor.lines()))
            async with program("healthcheck", log=tmp_path / "health.log", env=env) as check:
                assert await check.ended() == 0
            assert await monitor.stop() == 0

    assert json.loads(check.output()) == {"status": "ok"}
    (started,) = (line for line in monitor.lines() if line["event"] == "started")
    assert started["version"] == __version__
    assert (started["configuration"], started["polls"]) == ("environment", ["1m"])
    assert started["database"] == f"{tmp_path}/only.db"
    incidents = [line["incident"] for line in monitor.lines() if "incident" in line]
    assert len(incidents) == len({*incidents}) > 0
    assert "overridden" not in started
    assert "no receivers are configured" in monitor.output()


async def test_a_packages_defaults_are_weaker_than_the_file_and_its_health_check_finds_it(tmp_path):
    env = {
        "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": f"sqlite:///{tmp_path}/packaged.db",
        "LINKEDAPI_MONITOR_DEFAULT_LISTEN": "0.0.0.0:1",
        "LINKED_API_BASE_URL": "http://127.0.0.1:9",
    }
    async with (
        install(tmp_path, simulated()) as installation,
        installation.run(env=env) as monitor,
    ):
        await answers(f"{installation.endpoint}/healthz")
        await monitor.until_logged("started")
        async with program("healthcheck", log=tmp_path / "health.log", env=env) as check:
            assert await check.ended() == 0
        assert {path.name for path in tmp_path.glob("packaged*")} == {"packaged.db-endpoint"}
        assert await monitor.stop() == 0

    (started,) = (line for line in monitor.lines() if line["event"] == "started")
    assert started["database"] == f"{tmp_path}/monitor.db"
    assert started["configuration"] == str(installation.file)
    assert started["overridden"] == {"linked_api.base_url": "LINKED_API_BASE_URL"}
    assert not list(tmp_path.glob("packaged*"))

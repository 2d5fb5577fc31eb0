"""The real program with a configuration that is wrong in many places."""

import asyncio
import json
import socket

import pytest
from harness.program import configure, free_port, hooks, program

from monitor.simulator import Simulator, serve

WRONG = {
    # a line added to a valid file: its problem
    "pol: {every: 5s}": "pol: unknown key; did you mean poll?",
    "incidents: {open_aftr: 2}": "incidents.open_aftr: unknown key; did you mean open_after?",
    "fallback: chatt": "fallback: no receiver is called 'chatt'; did you mean chat?",
    "timezone: Europe/Berln": "did you mean Europe/Berlin?",
    "metrics: {account_names: ${NO_SUCH_VARIABLE}}": "variable NO_SUCH_VARIABLE is not set",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "check"])
async def test_every_problem_is_named_with_its_line_and_nothing_starts(tmp_path, command):
    simulator = Simulator(seed=1)
    simulator.add_customer("acme", "linked_test_token")
    simulator.add_accounts("acme", 1, "frozen")
    port = free_port()
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        more = "\n".join(WRONG)
        file, _ = configure(tmp_path, api=api, hooks=hook_url, port=port, more=more)
        log = tmp_path / "said.log"
        with socket.create_server(("127.0.0.1", port)) as taken:
            taken.settimeout(0)
            async with (
                program(command, "-c", str(file), log=log) as monitor,
                asyncio.timeout(30),
            ):
                code = await monitor.process.wait()
            with pytest.raises(BlockingIOError):
                taken.accept()

    assert code == 2
    (line,) = monitor.output().splitlines()
    error = json.loads(line)
    assert error["error"] == "config"
    problems = error["message"].split("\n")
    text = file.read_text().splitlines()
    for added, expected in WRONG.items():
        place = f"{file}:{text.index(added) + 1}: "
        assert any(problem.startswith(place) and expected in problem for problem in problems), added
    assert len(problems) == len(WRONG)
    assert "linked_test_token" not in monitor.output()
    assert simulator.requests == []
    assert hook.slack == hook.events == []
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "said.log"}

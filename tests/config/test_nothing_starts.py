"""The real program with a configuration that is wrong in many places."""

import json
import socket

import pytest
from harness.program import program
from harness.running_monitor import install, simulated

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
    simulator = simulated()
    async with install(tmp_path, simulator, more="\n".join(WRONG)) as installation:
        file, hook = installation.file, installation.hook
        port = int(installation.endpoint.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):  # to listen there would be another error
            async with program(command, "-c", str(file), log=tmp_path / "said.log") as monitor:
                code = await monitor.ended()

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

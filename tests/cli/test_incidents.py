import re

import pytest


@pytest.mark.usefixtures("recorded")
def test_incidents_are_listed_with_their_duration(run, configured):
    ran = run("incidents", "-c", configured())

    assert {row["cause"] for row in ran.data} == {"frozen", "reconnection_required"}
    assert set(ran.data[0]) >= {"id", "workspace", "scope", "opened_at", "duration_seconds"}
    assert all(row["duration_seconds"] >= 0 for row in ran.data)


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_a_duration_is_one_that_people_read(on_a_terminal, configured):
    _, incidents = on_a_terminal("incidents", "-c", configured())

    heading, *rows = incidents.splitlines()
    assert heading.split()[-3:] == ["opened", "(UTC)", "duration"]
    assert all(re.search(r"\d (d|h|min|s)$", row.rstrip()) for row in rows)

import pytest


@pytest.mark.parametrize("command", ["accounts", "incidents", "deliveries"])
def test_a_database_that_is_not_there_is_said_and_not_made(run, configured, tmp_path, command):
    ran = run(command, "-c", configured())

    assert ran.code == 1
    assert "there is no database" in ran.err
    assert not (tmp_path / "monitor.db").exists()

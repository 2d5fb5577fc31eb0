import pytest


@pytest.mark.usefixtures("recorded")
def test_deliveries_are_listed_with_how_they_fare(run, configured):
    ran = run("deliveries", "-c", configured())

    assert sorted(row["state"] for row in ran.data) == ["delivered", "pending"]
    assert set(ran.data[0]) >= {"id", "message_id", "incident_ids", "event", "attempts", "reason"}

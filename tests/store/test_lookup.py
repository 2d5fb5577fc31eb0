import pytest
from harness.core import REJECTED, frozen, listed_account, signed_out

from monitor.store import lookup


def meant(harness, word):
    return sorted(it.id for it in harness.run(lambda tx: lookup.incidents(tx, word)))


@pytest.fixture
def ids(harness):
    """Incidents of accounts: one that has ended twice, two that are open; one of the workspace."""
    everybody = [listed_account(id_, name=f"Person {id_}") for id_ in ("a1", "b1", "b22", "ok")]
    harness.poll(*everybody)
    for _ in range(2):
        harness.poll(signed_out("a1"), *everybody[1:])
        harness.poll(*everybody)
    bad = [frozen("b1", name="Jo Doe"), frozen("b22", name="Jo Doe")]
    harness.poll(everybody[0], *bad, everybody[3])
    for _ in range(2):
        harness.observe(REJECTED)
    rows = harness.run(
        lambda tx: tx.exec_driver_sql("SELECT subject, id FROM incident ORDER BY opened_at").all()
    )
    ids = {}
    for subject, id_ in rows:
        ids.setdefault(subject, []).append(id_)
    return ids


def test_an_incident_is_meant_by_its_id_or_by_what_it_is_about(harness, ids):
    first, second = ids["a1"]
    (b1,), (b22,), (reading,) = ids["b1"], ids["b22"], ids["reading"]

    assert meant(harness, first) == [first]
    assert meant(harness, "b1") == [b1]
    assert meant(harness, "b2") == [b22]
    assert meant(harness, "Jo Doe") == sorted([b1, b22])
    assert meant(harness, "b") == sorted([b1, b22])
    assert meant(harness, "acme") == [reading]
    assert meant(harness, "a1") == meant(harness, "Person a1") == [second]
    assert meant(harness, "nobody") == meant(harness, "") == []


def test_a_start_of_an_id_means_all_that_begin_so_and_none_is_a_pattern(harness, ids):
    assert len(meant(harness, "00")) == len([id_ for listed in ids.values() for id_ in listed])
    assert meant(harness, "%") == meant(harness, "_") == []

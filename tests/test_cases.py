"""Every case of tests/cases.py has a test."""

import cases
import pytest

KINDS = {"odd_input": cases.ODD_INPUTS, "case": cases.CASES, "pain": cases.PAINS}


@pytest.fixture
def marked(request):
    """The names in the markers of each kind, of all tests that were collected."""
    items = request.session.items
    return {
        kind: {name for item in items for mark in item.iter_markers(kind) for name in mark.args}
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_marker_names_a_case_that_is_built(marked, kind):
    assert marked[kind] - KINDS[kind] == set()
    assert KINDS[kind] & cases.COMING == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_has_a_test(request, marked, kind):
    config, chosen = request.config, ("keyword", "markexpr", "deselect", "ignore", "lf")
    if config.args != ["tests"] or any(config.getoption(option) for option in chosen):
        pytest.skip("only a run of all tests can tell")

    assert KINDS[kind] - marked[kind] == set()

"""Every kind of bad input that we know of, and that each has a test.

A test of a row carries `@pytest.mark.row(NUMBER)`, also beside the part that it is about.
"""

import pytest

ROWS = {
    # the account list
    1: "no accounts at the first poll",
    2: "no accounts where there were some",
    3: "no list, no result",
    4: "no pending sessions",
    5: "details that are null or missing",
    6: "a status that is none, or a new one",
    7: "a login is needed, and no link",
    8: "a link that is not needed",
    9: "a link that is not safe",
    10: "an id that is none",
    11: "an id that comes twice",
    12: "names of every kind",
    13: "two accounts of one name",
    14: "a time of connection that is odd or moves",
    15: "an account gone for one poll",
    16: "an account gone for good",
    17: "a person who returns under another id",
    18: "two ids of one person",
    19: "a thousand accounts that freeze at once",
    20: "a status that alternates",
    21: "a link that rotates at each poll",
    22: "a recovery and a loss between two polls",
    23: "fields, nesting, keys and numbers beyond all measure",
    24: "pending sessions that are odd",
    25: "a restart during an incident; a state that is lost, damaged or of the future; a clock",
    # the way to it
    26: "success that is none",
    27: "errors of every shape",
    28: "bodies that are no answer, or oddly wrapped",
    29: "429, with every kind of Retry-After",
    30: "refusals of every type and status",
    31: "redirects",
    32: "no name, no connection, no certificate, no end, no answer",
    33: "tokens that cannot be sent, or rotate",
    34: "one token twice; one workspace that fails",
    35: "hours of outage",
    # sessions
    36: "a login that the list shows only later",
    37: "a session that expired while a reminder is due",
    38: "a session that failed, was cancelled or replaced",
    39: "a session that is forgotten, of unknown status or type, or goes backwards",
    40: "asking for a session when it is not needed, changes nothing or has an unknown outcome",
    41: "a login under way",
    42: "too many attempts, too many requests",
}


def test_every_row_has_a_test(request):
    chosen = request.config.option
    if request.config.args != ["tests"] or chosen.keyword or chosen.markexpr or chosen.deselect:
        pytest.skip("only a run of all tests can tell")

    marks = (mark for item in request.session.items for mark in item.iter_markers("row"))

    assert {row for mark in marks for row in mark.args} == set(ROWS)

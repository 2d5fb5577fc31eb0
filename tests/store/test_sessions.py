"""Sessions: the only place that holds a link."""

from harness.core import LINK, listed_account, signed_out

from monitor.core.model import Session
from monitor.core.secret import Secret
from monitor.store import sessions

OTHER_LINK = "https://app.linkedapi.io/connection/rotated"


def session(harness):
    return harness.run(lambda tx: sessions.load(tx, "acme", "a1"))


def test_a_session_is_read_as_it_was_written_last(harness):
    harness.poll(signed_out())
    assert session(harness).link.reveal() == LINK

    for written in (Session("s2", Secret(OTHER_LINK)), Session("s3", None), Session(None, None)):
        harness.run(lambda tx, written=written: sessions.write(tx, "acme", {"a1": written}))

        assert session(harness) == written


def test_a_link_goes_when_the_incident_ends(harness):
    harness.poll(signed_out(), signed_out("a2"))

    harness.poll(listed_account(), signed_out("a2"))

    assert session(harness) is None
    assert harness.column("SELECT account_id FROM session") == ["a2"], "and no other's"


def test_a_link_is_deleted_of_one_workspace_only(harness):
    harness.poll(signed_out())
    harness.attach("globex")

    harness.run(lambda tx: sessions.write(tx, "globex", {"a1": None}))

    assert session(harness) is not None

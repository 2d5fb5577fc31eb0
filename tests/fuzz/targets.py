"""What holds of every answer and of every configuration, whatever they are made of.

Each target takes bytes and fails if something does not hold; both fuzzers aim at the same two.
"""

import atexit
import re
import tempfile
from pathlib import Path

from monitor.config import Config, ConfigError, load
from monitor.core.errors import ApiError
from monitor.core.model import Cause, Snapshot
from monitor.source import decode, wire
from monitor.source.errors import MAX_RETRY_AFTER, http_error

TOKEN = "sesame-opens-every-door"  # of no shape that gives it away
ORIGIN = "https://app.linkedapi.io"
MAX_DETAIL = 400

STATUSES = (302, 400, 401, 404, 429, 503)
SECRET = re.compile(r"\b(?:linked|account|id|whsec)_[A-Za-z0-9_-]{8,}|[A-Za-z]://\S")

HUSH = "hunter2-is-not-for-you"
ENVIRON = {"HUSH": HUSH, "NAME": "acme", "SPAN": "90s"}
VARIABLE = re.compile(r"[A-Z_]*")

_folder = tempfile.TemporaryDirectory()
atexit.register(_folder.cleanup)
FILE = Path(_folder.name) / "config.yaml"


def check_answer(content: bytes) -> Snapshot | None:
    """Read *content* as an account list and as a refusal; return the list if it is one."""
    decoder = decode.Decoder((ORIGIN,))
    snapshot = None
    try:
        snapshot = decoder.decode(content, secret=TOKEN)
    except ApiError as error:
        _check_error(error)
    else:
        _check_snapshot(snapshot)
        assert decoder.decode(content, secret=TOKEN) is snapshot
        _check_both_readings(content)
    for status in STATUSES:
        headers = {"retry-after": content[:40].decode("latin-1"), "content-type": "text/html"}
        error = http_error(status, headers, content, secret=TOKEN)
        _check_error(error)
        assert error.retry_after is None or 0 < error.retry_after <= MAX_RETRY_AFTER
    return snapshot


def _check_error(error: ApiError) -> None:
    assert error.cause in Cause
    assert len(str(error)) < MAX_DETAIL
    assert error.type is None or len(error.type) <= 64
    for shown in (str(error), error.type or "", str(vars(error))):
        _check_shown(shown)


def _check_shown(text: str) -> None:
    assert text.isprintable()
    assert TOKEN not in text
    assert not SECRET.search(text), text


def _check_snapshot(snapshot: Snapshot) -> None:
    assert len(snapshot.warnings) <= decode.MAX_WARNINGS
    for warning in snapshot.warnings:
        assert len(warning) <= decode.MAX_WARNING
        _check_shown(warning)
    assert len({listed.id for listed in snapshot.accounts}) == len(snapshot.accounts)
    for listed in snapshot.accounts:
        assert 0 < len(listed.id) <= wire.MAX_ID
        assert (len(listed.name), len(listed.url)) <= (500, 2000)
        assert (len(listed.country), len(listed.raw_status)) <= (64, 64)
        kept = (listed.id, listed.name, listed.url, listed.country, listed.raw_status)
        assert "\0" not in "".join(kept).encode().decode()  # and a database can store it
        if listed.session is None:
            continue
        assert listed.session.id is None or 0 < len(listed.session.id) <= wire.MAX_ID
        assert "\0" not in (listed.session.id or "").encode().decode()
        if link := listed.session.link:
            assert wire.is_safe(link.reveal(), {f"{ORIGIN}:443"})
            assert link.reveal() not in repr(listed.session)


def _check_both_readings(content: bytes) -> None:
    """The fast and the lenient way to read agree wherever the fast one is taken."""
    assert decode._wire_accounts(content, "") == decode._lenient_accounts(content, "")


def check_config(content: bytes) -> Config | ConfigError:
    """Load *content*; return the configuration, or what is wrong with it."""
    FILE.write_bytes(content)
    try:
        return load(FILE, ENVIRON)
    except ConfigError as error:
        _check_problems(error, content)
        return error


def _check_problems(error: ConfigError, content: bytes) -> None:
    assert error.problems
    assert HUSH not in str(error) or HUSH.encode() in content
    assert all(line.isprintable() for line in str(error).split("\n"))
    # Every problem names its line, its variable, or the section that is not there.
    for problem in error.problems:
        if problem.line is not None:
            assert problem.source == str(FILE)
            assert 1 <= problem.line <= len(content) + 1
        elif problem.source is None:
            assert VARIABLE.fullmatch(problem.path)
        else:
            assert (problem.path, "is missing" in problem.message) == ("workspaces", True)

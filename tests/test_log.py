import io
import json
import logging
import re
import warnings

import pytest
import structlog
from harness.notifications import HOSTILE

from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.log import configure, mask

TOKEN = "linked_5up3r'secret\\token"
HOOK = "https://hooks.example.com/services/T000/B000/xyzzy?key=1"
CHATTY = ("httpx", "httpcore", "aiohttp", "apscheduler", "asyncio", "sqlalchemy", "uvicorn")

poll = structlog.get_logger("poll")  # made before any configuration, as those of the product
library = logging.getLogger("library")


class Log:
    """A configured log and what it wrote."""

    def __init__(self, level="info", form="json", secrets=(TOKEN, HOOK), stream=None):
        self.stream = stream or io.StringIO()
        configure(
            level=level, format=form, secrets=[Secret(text) for text in secrets], stream=self.stream
        )

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()

    @property
    def events(self):
        return [json.loads(line)["event"] for line in self.lines]

    @property
    def last(self):
        return json.loads(self.lines[-1])


def test_a_record_is_one_line_of_json_with_a_time_in_utc():
    log = Log()

    poll.info("polled", workspace="acme", accounts=3, took=0.5)

    (line,) = log.lines
    start, _, rest = line.partition('Z", ')
    assert start.startswith('{"timestamp": "')
    assert rest == (
        '"level": "info", "logger": "poll", "event": "polled",'
        ' "workspace": "acme", "accounts": 3, "took": 0.5}'
    )


def test_the_console_shows_the_same_in_words():
    log = Log(form="console")

    poll.warning("odd list", workspace="acme", what="two of one id", n=2)

    _, _, rest = log.lines[0].partition("Z ")
    assert rest == 'warning  poll: odd list workspace=acme what="two of one id" n=2'


def test_the_level_holds_for_both_kinds_of_logging():
    log = Log(level="warning")

    poll.info("quiet")
    library.info("quiet")
    poll.warning("loud")
    library.warning("loud")

    assert log.events == ["loud", "loud"]


def test_bound_and_contextual_values_are_shown():
    log = Log()

    with structlog.contextvars.bound_contextvars(workspace="acme"):
        poll.bind(attempt=2).info("tried")

    assert (log.last["workspace"], log.last["attempt"]) == ("acme", 2)


@pytest.mark.parametrize("name", [*CHATTY, "uvicorn.error", "httpx._client"])
def test_chatty_libraries_log_warnings_only(name):
    log = Log(level="debug")

    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble with %s", "something")

    assert log.events == ["trouble with something"]
    assert log.last["logger"] == name


def test_warnings_of_python_are_records():
    log = Log()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old interface", DeprecationWarning, stacklevel=1)

    assert log.last["logger"] == "py.warnings"
    assert "old interface" in log.last["event"]


# ── promise 6: secrets stay in ───────────────────────────────────────────────────────────────────


class Request:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return f"Request({self.text!r})"


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("secret", [TOKEN, HOOK])
@pytest.mark.parametrize(
    "say",
    [
        lambda text: poll.info(text * 2),
        lambda text: poll.info("called", url=f"<{text}>"),
        lambda text: poll.info("called", request=Request(text)),
        lambda text: poll.info("called", parts={"a": [1, {text: (text,)}]}, more={text}),
        lambda text: poll.info("called", deep=[[[[[[[[[text]]]]]]]]]),
        lambda text: poll.info("called", body=text.encode()),
        lambda text: poll.info("called", **{text: 1}),
        lambda text: poll.info("called %s", text),
        lambda text: poll.info("called", error=ValueError(text)),
        lambda text: library.warning("calling %s", text),
        lambda text: library.warning(Request(text)),
        lambda text: library.warning("bad %d", text),
    ],
)
def test_secrets_stay_in(form, secret, say):
    log = Log(form=form)

    say(secret)

    text = log.stream.getvalue()
    assert "**********" in text
    assert not re.search("5up3r|xyzzy", text)


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("logger", [poll, library], ids=["structlog", "logging"])
def test_secrets_stay_in_when_an_exception_holds_them(form, logger):
    log = Log(form=form)

    def call(local):
        del local
        raise ConnectionError(f"cannot reach {HOOK}") from ValueError(TOKEN)

    try:
        call("a local " + "value")
    except ConnectionError:
        logger.exception("failed")

    text = log.stream.getvalue()
    assert "ConnectionError: cannot reach **********" in text
    assert "a local value" not in text
    assert not re.search("5up3r|xyzzy", text)


@pytest.mark.parametrize(
    ("secrets", "value", "shown"),
    [
        pytest.param([HOOK], HOOK.partition(".com")[2], "**********", id="without its host"),
        pytest.param(
            ["abcdef", "abcdefghijkl"],
            "xabcdefghijklx abcdefabcdef",
            "x**********x ********************",
            id="one within another",
        ),
        pytest.param(["admin"], "the admin said so", "the admin said so", id="a short word"),
        pytest.param([], Secret("not configured"), "**********", id="not configured"),
    ],
)
def test_secrets_are_redacted(secrets, value, shown):
    log = Log(secrets=secrets)

    poll.info("read", value=value)

    assert log.last["value"] == shown


# ── a log call never raises ──────────────────────────────────────────────────────────────────────


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


def test_any_value_can_be_logged():
    log = Log()

    loop = []
    loop.append(loop)

    poll.info(
        "odd",
        thing=object,
        broken=Broken(),
        loop=loop,
        nan=float("nan"),
        half="\ud83e",
        duration=Duration.parse("5m"),
        raw=b"\x00",
        nothing=None,
        yes=True,
    )

    record = log.last
    assert record["broken"] == "<Broken that cannot be shown>"
    assert record["nan"] == "nan"
    assert record["duration"] == "5m"
    assert (record["nothing"], record["yes"]) == (None, True)


def test_what_cannot_be_formatted_is_logged_all_the_same():
    log = Log()

    library.warning("%d accounts", "three")

    assert log.last["event"] == "%d accounts"
    assert log.last["unformattable"] == "TypeError"


def test_huge_values_are_cut():
    log = Log()

    poll.info("big", text="x" * 1_000_000, many=list(range(100_000)))

    assert len(log.stream.getvalue()) < 30_000


class BrokenPipe(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError(32, "Broken pipe")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [BrokenPipe(), closed()], ids=["broken pipe", "closed"])
def test_a_reader_that_left_is_no_reason_to_fail(capfd, stream):
    Log(stream=stream)

    poll.info("hello?")
    library.error("hello?")

    assert capfd.readouterr() == ("", "")


def test_a_stream_that_knows_only_ascii_gets_escapes():
    raw = io.BytesIO()
    Log(form="console", stream=io.TextIOWrapper(raw, encoding="ascii"))

    poll.info("Zoë")

    assert b"Zo\\xeb" in raw.getvalue()


# ── hostile names ────────────────────────────────────────────────────────────────────────────────

FORGED = "Jane\n2026-11-23T12:00:00Z error poll: forged \u2028\x85\x9b31m\x1b]0;title\x07"


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", [FORGED, *HOSTILE], ids=ascii)
def test_hostile_names_cannot_fake_a_line_or_steer_a_terminal(form, name):
    log = Log(form=form)

    poll.info(f"account {name}", name=name, **{name: [name, {name: name}]})
    library.warning("account %s", name)

    text = log.stream.getvalue()
    assert text.count("\n") == 2
    assert text.replace("\n", "").isprintable()


def test_a_traceback_on_the_console_is_marked_as_part_of_its_record():
    log = Log(form="console")

    error = ValueError("first\n2026-11-23T12:00:00Z error poll: forged \x1b[2K")
    poll.error("failed", exc_info=error)

    assert "poll: failed" in log.lines[0]
    assert all(line.startswith("  | ") for line in log.lines[1:])
    assert "\x1b" not in log.stream.getvalue()


def test_configuring_again_replaces_the_stream():
    first, second = Log(), Log(level="error")

    poll.error("once")

    assert first.lines == []
    assert len(second.lines) == 1


def test_what_is_learned_later_is_redacted_from_then_on_whatever_is_configured():
    log = Log()
    mask(Secret("a-token-from-a-file"))
    mask(Secret("a-token-from-a-file"))
    poll.info("after", value="Bearer a-token-from-a-file")
    again = Log()
    poll.info("reloaded", value="a-token-from-a-file")

    assert log.last["value"] == "Bearer **********"
    assert again.last["value"] == "**********"

"""What the monitor says of itself: structlog and the standard library's logging in one stream.

    structlog.get_logger("poll") ─┐
                                  ├─► one handler ─► flatten ─► mask ─► JSON or console ─► stream
    logging (httpx, uvicorn, …) ──┘

A log call never raises, a record never spans or fakes a second one, and a known secret's text is
masked wherever it stands: modules need not be careful, this one is.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO
from urllib.parse import quote

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.core.duration import Duration
from monitor.core.secret import MASK, Secret

Format = Literal["json", "console"]

SHORTEST: Final = 6
"""A secret of fewer characters is not looked for: it would be found in ordinary words."""

_QUIET: Final = ("aiohttp", "apscheduler", "asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn")
_SHORTEST_PATH: Final = 12  # the path of a URL may be what is secret of it; a shorter one is a word
_LONGEST_TEXT: Final = 20_000
_MOST_PARTS: Final = 100
_DEEPEST: Final = 6
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def configure(*, level: str, format: Format, secrets: Iterable[Secret], stream: TextIO) -> None:  # noqa: A002 - the configuration's own word
    """Send every record of at least *level* to *stream*, masking *secrets*."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    masking = Masking(secrets)
    formatter = ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.StackInfoRenderer(),
            masking,
            _to_json if format == "json" else _to_console,
        ],
    )
    handler = _Handler(stream, masking)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.captureWarnings(capture=True)


class Masking:
    """Makes every value plain (text, numbers, lists, dictionaries) and masks secrets in it.

    Secrets are found by their first characters, so that thousands of them cost no more than one.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret.reveal())}
        self._by_start: dict[str, list[str]] = {}
        for spelling in sorted(spellings, key=len, reverse=True):
            self._by_start.setdefault(spelling[:SHORTEST], []).append(spelling)

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        """Process an event (the interface of structlog)."""
        return {self.mask(key): self._plain(value) for key, value in event_dict.items()}

    def mask(self, text: str) -> str:
        """Return *text* with asterisks for the secrets in it."""
        if not self._by_start:
            return text
        parts, kept, at = [], 0, 0
        while at <= len(text) - SHORTEST:
            candidates = self._by_start.get(text[at : at + SHORTEST], ())
            found = next((one for one in candidates if text.startswith(one, at)), None)
            if found is None:
                at += 1
                continue
            parts += [text[kept:at], MASK]
            kept = at = at + len(found)
        return "".join([*parts, text[kept:]])

    def _plain(self, value: Any, depth: int = 0) -> Any:
        if value is None or type(value) in (bool, int):
            return value
        if depth < _DEEPEST:
            if isinstance(value, Mapping):
                some = list(value.items())[:_MOST_PARTS]
                return {self._text(key): self._plain(one, depth + 1) for key, one in some}
            if isinstance(value, list | tuple | set | frozenset):
                return [self._plain(one, depth + 1) for one in list(value)[:_MOST_PARTS]]
        if type(value) is float and value - value == 0:  # JSON has no word for the others
            return value
        return self._text(value)

    def _text(self, value: Any) -> str:
        text = self.mask(_say(value))
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


class _Handler(logging.Handler):
    """Writes a line per record, and carries on when it can't."""

    def __init__(self, stream: TextIO, masking: Masking) -> None:
        super().__init__()
        self._stream = stream
        self._masking = masking

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - what cannot be formatted is still told
            line = self._plainly(record, error)
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError, LookupError):
            pass  # nobody listens any more: that must not end the monitor

    def _plainly(self, record: logging.LogRecord, error: Exception) -> str:
        said = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _say(record.msg),
            "arguments": _say(record.args),
            "unformattable": type(error).__name__,
        }
        return json.dumps(self._masking(None, "", said))


def _say(value: Any) -> str:
    try:
        if isinstance(value, str | Duration | Secret):
            return str(value)
        return repr(value)
    except Exception:  # noqa: BLE001 - a value of any kind may be logged
        return f"<{type(value).__name__} that cannot be shown>"


def _spellings(secret: str) -> list[str]:
    """Return how a secret may stand in a text: as it is, quoted, and a URL without its host."""
    texts = [secret]
    path = re.sub("^[^/?#]*//[^/?#]*", "", secret) if "://" in secret else ""
    if len(path) >= _SHORTEST_PATH:
        texts.append(path)
    forms = [(one, repr(one)[1:-1], json.dumps(one)[1:-1], _quote(one)) for one in texts]
    return [form for group in forms for form in group if len(form) >= SHORTEST]


def _quote(text: str) -> str:
    return quote(text, safe="", errors="replace")


_FIRST: Final = ("timestamp", "level", "logger", "event")


def _to_json(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> str:
    known = {key: event_dict.pop(key) for key in _FIRST if key in event_dict}
    return json.dumps({**known, **event_dict}).replace("\x7f", "\\u007f")


def _to_console(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> str:
    moment, level, logger, event = (str(event_dict.pop(key, "")) for key in _FIRST)
    traces = [str(event_dict.pop(key)) for key in ("exception", "stack") if event_dict.get(key)]
    said = " ".join(f"{key}={_quoted(value)}" for key, value in event_dict.items())
    line = _visible(f"{moment} {level:<8} {logger}: {event} {said}".rstrip())
    # A traceback in one line is no use on a terminal; a bar marks what belongs to the record.
    return "\n".join([line, *(f"  | {_visible(row)}" for t in traces for row in t.split("\n"))])


def _quoted(value: Any) -> str:
    is_word = isinstance(value, str) and value and not set(value) & set(" =\"'")
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


def _visible(text: str) -> str:
    """Write out whatever moves a terminal's cursor, colours it or turns its writing round."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(one)[1:-1] if unicodedata.category(one) in _INVISIBLE else one for one in text
    )

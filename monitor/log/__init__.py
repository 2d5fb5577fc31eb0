"""The log: structlog and the standard library's logging in one stream.

    structlog.get_logger("poll") ─┐
                                  ├─► one handler ─► flatten ─► redact ─► JSON or console ─► stream
    logging (httpx, uvicorn, …) ──┘

A log call never raises, nor waits for a stream that is a `LogQueue`; no record can fake another
one, and the text of a known secret is redacted wherever it occurs: modules need not be careful,
this one is.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO
from urllib.parse import quote

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.core.duration import Duration
from monitor.core.secret import MASK, Secret
from monitor.core.text import visible

from .queue import LogQueue

__all__ = ["LogQueue", "Redactor", "configure", "mask"]

Format = Literal["json", "console"]

ALERTS: Final = "alert"
"""The logger of the receivers of type `log`: its lines are shown whatever the level."""

MIN_SECRET_LENGTH: Final = 6
"""A shorter secret is not looked for: it would be found in ordinary words."""

_QUIET: Final = ("aiohttp", "apscheduler", "asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn")
_DETAILS: Final = ("error", "file", "folder", "mode", "volume")
"""What the store, which logs without structlog, says besides; libraries add what is no use."""

_MIN_PATH_LENGTH: Final = 12  # a URL's path may be its secret part; a shorter one is a word
_MAX_TEXT_LENGTH: Final = 20_000
_MAX_ITEMS: Final = 100
_MAX_DEPTH: Final = 6


def configure(
    *,
    level: str,
    format: Format,  # noqa: A002 - the configuration's own word
    secrets: Iterable[Secret],
    stream: TextIO | LogQueue,
) -> None:
    """Send every record of at least *level* to *stream*, with *secrets* redacted."""
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
    masked = _masked()
    redactor = Redactor((*secrets, *masked))
    formatter = ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(_DETAILS)],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.StackInfoRenderer(),
            redactor,
            _to_json if format == "json" else _to_console,
        ],
    )
    handler = _Handler(stream, redactor)
    handler.masked = masked
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.getLogger(ALERTS).setLevel(min(threshold, logging.INFO))
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.captureWarnings(capture=True)


def mask(secret: Secret) -> None:
    """Redact *secret*, too, from now on: it was read since `configure`, or stands in no setting."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler) and secret not in handler.masked:
            handler.masked.add(secret)
            handler.redactor.add(secret)


def _masked() -> set[Secret]:
    """Return what `mask` has been told so far."""
    handlers = logging.getLogger().handlers
    return {secret for each in handlers if isinstance(each, _Handler) for secret in each.masked}


class Redactor:
    """Flattens every value (to text, numbers, lists, dictionaries) and redacts secrets in it.

    Secrets are found by their first characters, so that thousands cost little more than one.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret.reveal())}
        self._by_start: dict[str, list[str]] = {}
        for spelling in sorted(spellings, key=len, reverse=True):
            self._by_start.setdefault(spelling[:MIN_SECRET_LENGTH], []).append(spelling)
        self._start = _any_of(self._by_start)

    def add(self, secret: Secret) -> None:
        """Redact *secret*, too."""
        for spelling in _spellings(secret.reveal()):
            spellings = self._by_start.setdefault(spelling[:MIN_SECRET_LENGTH], [])
            if spelling not in spellings:
                spellings.append(spelling)
                spellings.sort(key=len, reverse=True)
        self._start = _any_of(self._by_start)

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        """Process an event (the interface of structlog)."""
        return {self.redact(key): self._flatten(value) for key, value in event_dict.items()}

    def redact(self, text: str) -> str:
        """Return *text* with asterisks for the secrets in it."""
        parts, copied, at = [], 0, 0
        while start := self._start.search(text, at):
            at = start.start()
            candidates = self._by_start.get(start[0], ())
            match = next((secret for secret in candidates if text.startswith(secret, at)), None)
            if match is None:
                at += 1
                continue
            parts += [text[copied:at], MASK]
            copied = at = at + len(match)
        return "".join([*parts, text[copied:]])

    def _flatten(self, value: Any, depth: int = 0) -> Any:
        if value is None or type(value) in (bool, int):
            return value
        if depth < _MAX_DEPTH:
            if isinstance(value, Mapping):
                items = list(value.items())[:_MAX_ITEMS]
                return {self._text(key): self._flatten(item, depth + 1) for key, item in items}
            if isinstance(value, list | tuple | set | frozenset):
                return [self._flatten(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        if type(value) is float and value - value == 0:  # JSON has no word for the others
            return value
        return self._text(value)

    def _text(self, value: Any) -> str:
        text = self.redact(_to_text(value))
        return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"


def _any_of(starts: Iterable[str]) -> re.Pattern[str]:
    """Return what finds all of *starts*, and some more: at each place one of their characters."""
    places = [f"[{''.join(map(re.escape, sorted({*each})))}]" for each in zip(*starts, strict=True)]
    return re.compile("".join(places) or "(?!)")


class _Handler(logging.Handler):
    """Writes a line per record, and carries on when it can't.

    To the list `writing` of a record it adds what says when the line was written.
    """

    def __init__(self, stream: TextIO | LogQueue, redactor: Redactor) -> None:
        super().__init__()
        self._stream = stream
        self.redactor = redactor
        self.masked: set[Secret] = set()

    def emit(self, record: logging.LogRecord) -> None:
        writing = record.msg.pop("writing", None) if isinstance(record.msg, dict) else None
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - what cannot be formatted is logged all the same
            line = self._without_format(record, error)
        written = self._write(line + "\n", surely=writing is not None)
        if isinstance(writing, list):
            writing.append(written)

    def _write(self, line: str, *, surely: bool) -> Future[None]:
        if surely and isinstance(self._stream, LogQueue):
            return self._stream.deliver(line)
        written: Future[None] = Future()
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError, LookupError) as error:
            written.set_exception(error)  # nobody listens any more: that must not end the monitor
        else:
            written.set_result(None)
        return written

    def _without_format(self, record: logging.LogRecord, error: Exception) -> str:
        event_dict = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _to_text(record.msg),
            "arguments": _to_text(record.args),
            "unformattable": type(error).__name__,
        }
        return json.dumps(self.redactor(None, "", event_dict))


def _to_text(value: Any) -> str:
    try:
        if isinstance(value, str | Duration | Secret):
            return str(value)
        return repr(value)
    except Exception:  # noqa: BLE001 - a value of any kind may be logged
        return f"<{type(value).__name__} that cannot be shown>"


def _spellings(secret: str) -> list[str]:
    """Return how a secret may be spelled in a text: as it is, quoted, a URL without its host."""
    texts = [secret]
    path = re.sub("^[^/?#]*//[^/?#]*", "", secret) if "://" in secret else ""
    if len(path) >= _MIN_PATH_LENGTH:
        texts.append(path)
    spellings = list(texts)
    for text in texts:
        quoted = quote(text, safe="", errors="replace")
        spellings += [repr(text)[1:-1], json.dumps(text)[1:-1], quoted]
    return [spelling for spelling in spellings if len(spelling) >= MIN_SECRET_LENGTH]


_FIRST: Final = ("timestamp", "level", "logger", "event")


def _to_json(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> str:
    first = {key: event_dict.pop(key) for key in _FIRST if key in event_dict}
    return json.dumps({**first, **event_dict}).replace("\x7f", "\\u007f")


def _to_console(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> str:
    timestamp, level, logger, event = (str(event_dict.pop(key, "")) for key in _FIRST)
    traces = [str(event_dict.pop(key)) for key in ("exception", "stack") if event_dict.get(key)]
    values = " ".join(f"{key}={_quoted(value)}" for key, value in event_dict.items())
    line = visible(f"{timestamp} {level:<8} {logger}: {event} {values}".rstrip())
    # A traceback in one line is no use on a terminal; a bar marks what belongs to the record.
    return "\n".join([line, *(f"  | {visible(row)}" for t in traces for row in t.split("\n"))])


def _quoted(value: Any) -> str:
    is_word = isinstance(value, str) and value and not set(value) & set(" =\"'")
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)

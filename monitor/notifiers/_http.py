"""A notifier by HTTP: one request a message, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else.
2. A 2xx is accepted unless what it says is a no (`verdict`). 408, 425, 429 and 5xx may pass. 400,
   409, 413 and 422 are said of the message, everything else of the receiver, unless the text of the
   refusal says more.
3. Anybody on the way can answer with a status: one that would be believed for good is doubtful
   without the vendor's own words, but for those of the message alone (400, 413, 422). A page for
   people is never the receiver's word.
4. A request of which anything left and that got no status is ambiguous: it may have arrived.
5. No error holds an address, a header or a body, nor hangs on an exception that does.
"""

import contextlib
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

import idna
from pydantic import field_validator, model_validator

from monitor.core.backoff import retry_after
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import Micros
from monitor.core.notification import Message
from monitor.core.receipt import Receipt
from monitor.core.secret import Secret
from monitor.core.url import split_web_url, travels_in_clear
from monitor.net.proxy import WANTS_LOGIN

from . import Notifier, ReceiverSettings

MAX_URL: Final = 65_536
"""So many characters the client of HTTP takes."""

MAX_RETRY_AFTER: Final = Duration.parse("1h")

_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")

_RETRYABLE: Final = frozenset({408, 425, 429})
_OF_THE_MESSAGE: Final = frozenset({400, 409, 413, 422})
_SURE: Final = frozenset({400, 413, 422})
_AUTH: Final = frozenset({401, 403, 407})

_PAGE: Final = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b",
    re.IGNORECASE | re.DOTALL,
)
_MEANINGS: Final[Mapping[int, str]] = {
    401: "the login was refused; check the address and its secret",
    403: "access was refused; check the address and its secret",
    404: "nothing is at this address; check it",
    405: "this address takes no messages; check it",
    407: f"the proxy {WANTS_LOGIN}",
    410: "the receiver says that it is gone for good",
    413: "it takes no message of this size",
    423: "the receiver says that it is locked",
    511: "the network wants a login",
}


class HttpSettings(ReceiverSettings):
    """What every receiver has that is told by HTTP: an address, which is a secret."""

    url: Annotated[Secret, Doc("where to", example="https://crm.example.com/hooks/linkedin")]

    @property
    def urls(self) -> tuple[Secret, ...]:
        """The one address."""
        return (self.url,)

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: Secret) -> Secret:
        url = value.reveal()
        parts = split_web_url(url) if url.isprintable() and len(url) <= MAX_URL else None
        if parts is None or not _is_host(parts.hostname or ""):
            raise ValueError("must be an address that starts with https:// (or http://)")
        return value

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if not self.insecure and any(travels_in_clear(url.reveal()) for url in self.urls):
            raise ValueError(
                "must start with https://: over http:// all that is told, and the address itself,"
                " can be read on the way; insecure: true allows that"
            )
        return self


def _is_host(name: str) -> bool:
    """Return whether a client of HTTP can look up *name*, or connect to it if it is an address."""
    try:
        if ":" in name or _NUMBERS.fullmatch(name):
            ip_address(name)
        elif not name.isascii():
            idna.encode(name)
    except ValueError:  # idna.IDNAError is one
        return False
    return True


@dataclass(frozen=True, slots=True)
class Request:
    """What to post: JSON to *url*, with *headers* besides those that every request has."""

    url: Secret
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: the status, the beginning of the body, when to come again."""

    status: int
    text: str = field(repr=False)
    retry_after: str = ""

    @property
    def json(self) -> Any:
        """The text as JSON, None if it is something else."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def word(self) -> str:
        """What names a refusal: the error in a JSON object, else the text."""
        match self.json:
            case {"error": str(error)}:
                return error
            case _:
                return self.text

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: no receiver of messages answers with one."""
        return _PAGE.match(self.text) is not None

    @property
    def answered(self) -> str:
        """The status as people know it: `answered 404 Not Found`."""
        with contextlib.suppress(ValueError):
            return f"answered {self.status} {HTTPStatus(self.status).phrase}"
        return f"answered {self.status}"

    def page(self) -> DeliveryError:
        """Say that a page came: from a portal or a proxy on the way, or a wrong address."""
        return DeliveryError(
            f"{self.answered} with a web page; check the address, and whether a proxy or portal on"
            " the way answers",
            reason=AttemptReason.NETWORK,
            remedy=Remedy.MEND,
            doubtful=True,
            ambiguous=self.status < 300,
        )

    def refusal(self, advice: tuple[Remedy, str] | None, *, now: Micros) -> DeliveryError:
        """Say what another status than 2xx means; *advice* is what its text does."""
        status = self.status
        if status in _RETRYABLE or status >= 500:
            return DeliveryError(
                self._say(advice[1] if advice else _MEANINGS.get(status, "")),
                reason=AttemptReason.RATE_LIMITED if status == 429 else AttemptReason.SERVER,
                retry_after=retry_after(self.retry_after, now=now, limit=MAX_RETRY_AFTER),
            )
        reason = AttemptReason.AUTH if status in _AUTH else AttemptReason.CLIENT
        if advice is not None:
            remedy, words = advice
            return DeliveryError(self._say(words), reason=reason, remedy=remedy)
        if self.is_page:
            return self.page()
        if status < 400:
            reason, words = AttemptReason.NETWORK, "a redirect; redirects are not followed"
        else:
            words = _MEANINGS.get(status, "")
        remedy = Remedy.DROP if status in _OF_THE_MESSAGE else Remedy.MEND
        is_sure = status in _SURE
        return DeliveryError(self._say(words), reason=reason, remedy=remedy, doubtful=not is_sure)

    def _say(self, words: str) -> str:
        return f"{self.answered}: {words}" if words else self.answered


def to_json(value: Any) -> bytes:
    """Write *value* as the body of a request."""
    return json.dumps(value, separators=(",", ":")).encode()


S = TypeVar("S", bound=ReceiverSettings)


class HttpNotifier(Notifier, Generic[S]):
    """Posts what a type of receiver makes of a message: all that a type adds is `request`.

    *advice* says what the texts mean that its vendor answers refusals with, and what to do;
    `verdict` what else than a 2xx its vendor calls a yes.
    """

    settings: S
    advice: ClassVar[Mapping[str, tuple[Remedy, str]]] = {}

    def __init__(self, settings: S, **options: Any) -> None:
        from ._post import post  # noqa: PLC0415 - only who sends needs it

        super().__init__(settings, **options)
        self._post = post  # by the first alert the program may have been replaced on the disk

    @abstractmethod
    def request(self, message: Message) -> Request:
        """Write *message* as its receiver wants it, from the settings and the time zone alone."""

    def verdict(self, answer: Answer) -> DeliveryError | None:
        """Return what is wrong with a 2xx *answer*; None if it is a yes."""
        return answer.page() if answer.is_page else None

    async def send(self, message: Message) -> Receipt:
        """Post *message*, once; raise DeliveryError if it was not accepted."""
        outcome = await self._post(self.http, self.request(message), limit=self.settings.timeout)
        error = self._judge(outcome, message.now) if isinstance(outcome, Answer) else outcome
        if error is not None:
            raise error
        return Receipt()

    def _judge(self, answer: Answer, now: Micros) -> DeliveryError | None:
        if 200 <= answer.status < 300:
            return self.verdict(answer)
        return answer.refusal(self.advice.get(answer.word), now=now)

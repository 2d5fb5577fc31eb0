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

import asyncio
import contextlib
import json
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

import httpx
from pydantic import field_validator, model_validator

from monitor import __version__
from monitor.core.backoff import retry_after
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import Message, Micros
from monitor.core.receipt import Receipt
from monitor.core.secret import Secret
from monitor.core.url import split_web_url, travels_in_clear
from monitor.net.body import read_body
from monitor.net.failure import WANTS_LOGIN, connect_failure

from . import Notifier, ReceiverSettings, unanswered

MAX_BODY: Final = 64 * 1024
"""How many bytes of an answer are read."""

BODY_TIMEOUT: Final = Duration.parse("3s")
"""How long is waited for them: the status has come, and says most of it."""

MAX_RETRY_AFTER: Final = Duration.parse("1h")

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
        with contextlib.suppress(httpx.InvalidURL):
            httpx.URL(value.reveal())
            if split_web_url(value.reveal()) is not None:
                return value
        raise ValueError("must be an address that starts with https:// (or http://)")

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if not self.insecure and any(travels_in_clear(url.reveal()) for url in self.urls):
            raise ValueError(
                "must start with https://: over http:// all that is told, and the address itself,"
                " can be read on the way; insecure: true allows that"
            )
        return self


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

    @abstractmethod
    def request(self, message: Message) -> Request:
        """Write *message* as its receiver wants it, from the settings and the time zone alone."""

    def verdict(self, answer: Answer) -> DeliveryError | None:
        """Return what is wrong with a 2xx *answer*; None if it is a yes."""
        return answer.page() if answer.is_page else None

    async def send(self, message: Message) -> Receipt:
        """Post *message*, once; raise DeliveryError if it was not accepted."""
        request = self.request(message)
        body = _TrackedBody(request.body)
        error: DeliveryError | None
        try:
            async with asyncio.timeout(self.settings.timeout.seconds):
                response = await self.http.send(self._build(request, body), stream=True)
        except Exception as failure:  # noqa: BLE001 - transports let exceptions of their own through
            late = isinstance(failure, TimeoutError)
            why = connect_failure(failure) or ""
            error = unanswered("gave no answer", sent=body.sent, late=late, why=why)
        else:
            answer = await _read(response)
            if response.is_success:
                error = self.verdict(answer)
            else:
                error = answer.refusal(self.advice.get(answer.word), now=message.now)
        if error is not None:
            raise error  # out here, so that no exception with the address hangs on it
        return Receipt()

    def _build(self, request: Request, body: "_TrackedBody") -> httpx.Request:
        headers = {
            "user-agent": f"linkedapi-monitor/{__version__}",
            **request.headers,
            "content-type": "application/json",
            "content-length": str(len(body.content)),
            "accept-encoding": "identity",
        }
        return self.http.build_request("POST", request.url.reveal(), content=body, headers=headers)


class _TrackedBody:
    """A body that remembers whether it was asked for: from then on the request may arrive.

    That is all a transport has to tell us; their exceptions do not (that of aiohttp calls a
    connection that broke off a `ConnectTimeout`).
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent = True
        yield self.content


async def _read(response: httpx.Response) -> Answer:
    """Return what came back, of the body what there is of it in time: this can't fail."""
    encoding = response.headers.get("content-encoding", "")
    try:
        async with asyncio.timeout(BODY_TIMEOUT.seconds):
            body = await read_body(response.aiter_raw(), encoding, limit=MAX_BODY)
    except Exception:  # noqa: BLE001 - the status counts, not how the connection ended
        body = b""
    finally:
        with contextlib.suppress(Exception):  # likewise
            await response.aclose()
    return Answer(
        response.status_code,
        body[:MAX_BODY].decode("utf-8", "replace").strip(),
        response.headers.get("retry-after", ""),
    )

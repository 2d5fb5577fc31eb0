"""`email`: messages by SMTP, as text and HTML, one thread per incident."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from monitor import notifiers
from monitor.core.doc import Doc
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.notification import Message
from monitor.core.receipt import Receipt
from monitor.core.render import Text, fit, plain_text, render
from monitor.core.text import clean, set_off

from ._mail import Mailbox, parse_mailbox, thread_index, write_mail
from ._smtp import SmtpSettings

if TYPE_CHECKING:
    import jinja2

_NO_REPLIES: Final = {
    "Auto-Submitted": "auto-generated",
    "X-Auto-Response-Suppress": "OOF, AutoReply, RN, NRN",
}
"""What keeps machines from answering, but for bounces, which say that nobody gets this."""

MAX_HTML: Final = 100_000
"""So many bytes the HTML has: of more than 102 kB Gmail shows the beginning."""

_IN_SPAN: Final = re.compile(r"(?<=\d) (?=(?:d|h|min|s)\b)|(?<=\d [dh]) (?=\d)")
"""The blanks in `2 h 5 min`."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


class ByLabel(BaseModel, frozen=True, extra="forbid"):
    """Recipients who are not the same for all accounts: the *label* of each holds its address."""

    label: Annotated[
        str, Doc("the label of the account that holds the address", example="owner")
    ] = Field(min_length=1)


def _tag(value: Any) -> str:
    return "\0label" if isinstance(value, Mapping | ByLabel) else "\0list"


Recipients = Annotated[
    Annotated[tuple[str, ...], Field(min_length=1, max_length=50), Tag("\0list")]
    | Annotated[ByLabel, Tag("\0label")],
    Discriminator(_tag),
]


class Settings(SmtpSettings):
    """A receiver of type `email`: the server that takes the mail, and whom it is for."""

    type: Annotated[
        Literal["email"],
        Doc(
            "a mail with text and HTML, by SMTP; all mails of an incident are one thread",
            example="email",
        ),
    ]
    from_: Annotated[
        str,
        Doc(
            "`monitor@example.com`, or `Monitor <monitor@example.com>`",
            example="Monitor <monitor@example.com>",
        ),
    ] = Field(alias="from")
    to: Annotated[
        Recipients,
        Doc("a list of up to 50 addresses, or `{label: owner}`", example=["ops@example.com"]),
    ]

    @field_validator("from_", "to")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...] | ByLabel) -> Any:
        if not isinstance(value, ByLabel):
            for address in (value,) if isinstance(value, str) else value:
                parse_mailbox(address)
        return value

    @property
    def address_label(self) -> str | None:
        """The label that holds the recipient, if it is not the same for all accounts."""
        return self.to.label if isinstance(self.to, ByLabel) else None

    @property
    def sample_address(self) -> str:
        """Where a test message goes if the recipient is not the same for all: to its own sender."""
        return self.from_ if self.address_label else ""

    @property
    def label_checks(self) -> Mapping[str, Callable[[str], object]]:
        """The label that holds the recipient."""
        return {self.to.label: parse_mailbox} if isinstance(self.to, ByLabel) else {}


class Notifier(notifiers.Notifier):
    """Sends mails that threads keep together, and that no machine answers."""

    settings: Settings

    def __init__(self, settings: Settings, **options: Any) -> None:
        from ._smtp_server import SmtpServer  # noqa: PLC0415 - only who sends needs it

        super().__init__(settings, **options)
        self._server = SmtpServer(settings)
        sender = parse_mailbox(settings.from_)
        self._sender = sender if sender.name else sender._replace(name="Linked API monitor")
        self._html = _html()

    async def send(self, message: Message) -> Receipt:
        """Send *message* as one mail, once; raise DeliveryError if it was not accepted."""
        addresses = self._addresses(message)
        problem = None
        try:
            to = [parse_mailbox(address) for address in addresses]
            mail = self._compose(message, to)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing has left
            problem = f"the mail could not be written: {type(error).__name__}"
        if problem is not None:  # out here, so that no exception with an address hangs on it
            raise DeliveryError(problem, reason=AttemptReason.CLIENT, remedy=Remedy.DROP)
        named = dict.fromkeys(mailbox.address for mailbox in to)  # each once
        recipients = [address for address in named if address not in message.done]
        if not recipients:  # who is left was taken out of the configuration
            return Receipt()
        refusals = await self._server.send(mail, sender=self._sender.address, recipients=recipients)
        is_own = not isinstance(self.settings.to, ByLabel)
        if is_own and not message.done and len(refusals) == len(recipients):
            raise self._server.refusal("no recipient was accepted", min(refusals.values()))
        return _receipt(recipients, refusals)

    def _addresses(self, message: Message) -> tuple[str, ...]:
        """Return the recipients as they are written."""
        to = self.settings.to
        if isinstance(to, ByLabel):
            if not message.address:  # the receiver had one of its own when this was queued
                problem = f"there is no label {to.label!r} that says whom to write to"
                raise DeliveryError(problem, reason=AttemptReason.CLIENT, remedy=Remedy.DROP)
            return (message.address,)
        return to

    def _size(self, text: Text) -> int:
        return len(self._render(text).encode())

    def _render(self, text: Text) -> str:
        return self._html.render(text=text, preview=_preview(text), footer=self._footer(text))

    def _compose(self, message: Message, to: Sequence[Mailbox]) -> bytes:
        text = fit(render(message, self.style), self._size, MAX_HTML)
        headers = {
            "Date": format_datetime(datetime.fromtimestamp(message.now // 1_000_000, UTC)),
            "Message-ID": f"<{_UNSAFE.sub('-', message.id)}@{self._sender.domain}>",
        }
        if len(message.notifications) == 1 and (incident := message.notifications[0].incident):
            root = f"<incident-{_UNSAFE.sub('-', incident.id)}@{self._sender.domain}>"
            headers |= {"In-Reply-To": root, "References": root}
            age = message.now - incident.opened_at if text.follows else None
            headers["Thread-Index"] = thread_index(incident.id, incident.opened_at, age)
        return write_mail(
            sender=self._sender,
            to=to,
            subject=f"Re: {text.thread_title}" if text.follows else text.thread_title,
            headers=headers | _NO_REPLIES,
            text=f"{plain_text(text)}\n-- \n{self._footer(text)}\n",
            html=self._render(text),
        )

    def _footer(self, text: Text) -> str:
        """Say who writes and why to this address."""
        to, name = self.settings.to, set_off(clean(self.settings.name))
        if isinstance(to, ByLabel):
            reason = f"your address is in the label {set_off(clean(to.label, 40))}"
        else:
            reason = f"the receiver {name} sends to your address"
        sender = f" {set_off(text.sender)}" if text.sender else ""
        return f"Sent by linkedapi-monitor{sender}. You get this mail because {reason}."


def _preview(text: Text) -> str:
    """Return what lists of mails show beside the subject: what is now, and what to do."""
    advice = text.lead or next((section.lead for section in text.sections), "")
    return f"{text.title}. {advice}" if text.follows else advice


@cache
def _html() -> "jinja2.Template":
    """Return the template of mails: compiling it takes longer than all else of a receiver."""
    import jinja2  # noqa: PLC0415 - only who sends needs it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("monitor.notifiers"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = lambda text: _IN_SPAN.sub("\N{NO-BREAK SPACE}", text)
    return environment.get_template("email.html")


def _receipt(recipients: Sequence[str], refusals: Mapping[str, int]) -> Receipt:
    """Say who took a mail and who did not; one who was refused by 4xx may take it later."""
    if not refusals:
        return Receipt()
    accepted = tuple(address for address in recipients if address not in refusals)
    refused = tuple(address for address, code in refusals.items() if code >= 500)
    later = len(refusals) - len(refused)
    counts = [(len(refused), "for good"), (later, "for now")]
    kinds = " and ".join(f"{number} {how}" for number, how in counts if number)
    codes = ", ".join(map(str, sorted({*refusals.values()})))
    failure = DeliveryError(
        f"recipients refused: {kinds}, of {len(recipients)} (SMTP {codes})",
        reason=AttemptReason.CLIENT if refused else AttemptReason.SERVER,
        remedy=Remedy.RETRY if later else Remedy.DROP,
    )
    return Receipt(accepted, refused, failure)

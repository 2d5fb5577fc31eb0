"""`log`: alerts as lines of the monitor's own log. They never hold a link."""

import asyncio
from concurrent.futures import Future
from typing import Annotated, Literal

import structlog

from monitor import notifiers
from monitor.core.doc import Doc
from monitor.core.duration import humanize_between
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.model import Micros
from monitor.core.notification import Message, Notification
from monitor.core.receipt import Receipt
from monitor.core.render import Tone, render_notification
from monitor.core.text import bare, clean
from monitor.core.wording import account_id

log = structlog.get_logger("alert")


class Settings(notifiers.ReceiverSettings):
    """A receiver of type `log` needs nothing but a name."""

    type: Annotated[
        Literal["log"],
        Doc(
            "a line of the monitor's own log, whatever `log.level` is; delivered when it was"
            " written, tried again while nobody reads the log. It is what there is without any"
            " receiver",
            example="log",
        ),
    ]
    link: Annotated[
        Literal["full", "none"], Doc("it never shows the login link", example="none")
    ] = "none"


class Notifier(notifiers.Notifier):
    """Writes one structured line per notification: bad news as warnings."""

    settings: Settings
    groups = False

    async def send(self, message: Message) -> Receipt:
        """Write *message* to the log; it is delivered when it was written.

        What was not begun in time is taken back; the next attempt writes it.
        """
        writing: list[Future[None]] = []
        for notification in message.notifications:
            self._write(notification, message.now, writing)
        try:
            async with asyncio.timeout(self.settings.timeout.seconds):
                await asyncio.gather(*map(asyncio.wrap_future, writing))
        except TimeoutError:
            began = any(not written.cancelled() for written in writing)
            raise DeliveryError(
                "nobody reads the log",
                reason=AttemptReason.TIMEOUT,
                ambiguous=began,
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is closed"
            raise DeliveryError(
                f"the log can't be written: {reason}", reason=AttemptReason.NETWORK
            ) from None
        return Receipt()

    def _write(self, notification: Notification, now: Micros, writing: list[Future[None]]) -> None:
        """Log *notification*; who writes it later adds to *writing* what says when."""
        text = render_notification(notification, self.style, receiver=self.settings.name, now=now)
        incident = notification.incident
        ended_at = incident.resolved_at if incident else None
        copy = notification.undelivered
        fields = {
            "what": str(notification.event),
            "workspace": notification.workspace,
            "account_id": bare(account_id(notification)) or None,
            "incident": incident.id if incident else None,
            "cause": str(incident.cause) if incident else None,
            "lasted": humanize_between(incident.opened_at, ended_at)
            if incident and ended_at
            else None,
            "undelivered_to": bare(clean(copy.receiver)) if copy else None,
            "undelivered_why": bare(clean(copy.why, 200)) if copy else None,
            "receiver": self.settings.name,
        }
        write = log.warning if text.tone is Tone.BAD else log.info
        values = {key: value for key, value in fields.items() if value is not None}
        write(bare(text.title), **values, writing=writing)

"""`slack`: messages to a channel, through an incoming webhook.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
What others wrote (names above all) goes into `plain_text` objects, where Slack interprets nothing.
"""

import json
import re
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from monitor.core.doc import Doc
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import Message
from monitor.core.render import Action, Section, Text, plain_text, render
from monitor.core.secret import Secret
from monitor.core.text import WORD_JOINER, shorten

from . import _http

NOT_UNDERSTOOD: Final = "Slack did not understand the message; please report this"

_WORD: Final = re.compile(r"[a-z]{2,30}(?:_[a-z]{1,30}){1,6}|ratelimited|accesslimited")
_FAILURE: Final = re.compile(r"\b(?:error|failed|failure|invalid|denied)\b", re.IGNORECASE)
_SLACK: Final = re.compile(r"(?:.+\.)?slack(?:-gov)?\.com", re.IGNORECASE)

_MARKUP: Final = frozenset(f"*_~`<>&@#!|\\{WORD_JOINER}")


class Settings(_http.HttpSettings):
    """A receiver of type `slack`: the secret address of an incoming webhook."""

    type: Annotated[
        Literal["slack"],
        Doc("a message in a channel, through an incoming webhook", example="slack"),
    ]
    url: Annotated[
        Secret,
        Doc(
            "the secret address of the incoming webhook",
            example="${SLACK_WEBHOOK_URL}",
        ),
    ]


class Notifier(_http.HttpNotifier[Settings]):
    """Posts messages as blocks, with a button that leads to the login."""

    advice: ClassVar = {
        **dict.fromkeys(
            (
                *("invalid_payload", "invalid_blocks", "invalid_blocks_format", "no_text"),
                *("too_many_attachments", "msg_too_long", "msg_blocks_too_long"),
            ),
            (Remedy.DROP, NOT_UNDERSTOOD),
        ),
        "no_service": (Remedy.MEND, "the webhook was removed or disabled; create a new one"),
        "no_active_hooks": (Remedy.MEND, "the webhook was disabled; create a new one"),
        "no_service_id": (Remedy.MEND, "the address of the webhook is not complete"),
        "no_team": (Remedy.MEND, "the Slack workspace of this webhook is gone"),
        "team_disabled": (Remedy.MEND, "the Slack workspace of this webhook is disabled"),
        **dict.fromkeys(
            ("not_authed", "invalid_auth", "account_inactive", "token_revoked", "missing_scope"),
            (Remedy.MEND, "this is an address of Slack's Web API, not that of an incoming webhook"),
        ),
        **dict.fromkeys(
            ("ratelimited", "rate_limited", "service_unavailable", "internal_error"),
            (Remedy.RETRY, "Slack is busy"),
        ),
        "invalid_token": (Remedy.MEND, "the address of the webhook is not valid"),
        "user_not_found": (Remedy.MEND, "the person whom this webhook writes to is gone"),
        "channel_not_found": (Remedy.MEND, "the channel of this webhook is gone"),
        "channel_is_archived": (Remedy.MEND, "the channel of this webhook is archived"),
        "action_prohibited": (Remedy.MEND, "an administrator restricted posting to this channel"),
        "posting_to_general_channel_denied": (
            Remedy.MEND,
            "posting to the general channel is restricted",
        ),
    }

    def verdict(self, answer: _http.Answer) -> DeliveryError | None:
        """Return what is wrong with a 2xx answer: Slack says `ok`, others at least no other thing.

        Its Web API, whose addresses are often mistaken for a webhook's, says no with a 200.
        """
        if answer.text.lower() == "ok" or _says(answer.json, is_good=True):
            return None
        if answer.is_page:
            return answer.page()
        is_named = _WORD.fullmatch(answer.word) is not None
        if not (is_named or _says(answer.json, is_good=False) or _tells_of_failure(answer)):
            is_slack = _SLACK.fullmatch(urlsplit(self.settings.url.reveal()).hostname or "")
            return _unclear(answer) if is_slack else None
        remedy, advice = self.advice.get(answer.word, (Remedy.MEND, ""))
        words = ": ".join(filter(None, (answer.word if is_named else "not accepted", advice)))
        return DeliveryError(
            f"HTTP {answer.status}, but {words}",
            reason=AttemptReason.CLIENT,
            remedy=remedy,
            doubtful=not advice,
        )

    def request(self, message: Message) -> _http.Request:
        """Write *message* as blocks."""
        text = render(message, timezone=self.timezone)
        return _http.Request(self.settings.url, _http.to_json(payload(text)))


def _unclear(answer: _http.Answer) -> DeliveryError:
    text = f"HTTP {answer.status} without Slack's ok; it may have arrived"
    return DeliveryError(text, reason=AttemptReason.CLIENT, ambiguous=True)


def _tells_of_failure(answer: _http.Answer) -> bool:
    """Return whether its words do; `"error": null`, or anything empty, tells of none."""
    text = answer.text
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text, object_hook=_without_empty))
    return _FAILURE.search(text) is not None


def _without_empty(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value}


def _says(content: Any, *, is_good: bool) -> bool:
    """Return whether a JSON answer says so of how it went."""
    if not isinstance(content, dict):
        return False
    flags = [content[key] for key in ("ok", "success") if isinstance(content.get(key), bool)]
    if flags:
        return all(flags) is is_good
    words = {str(content.get(key)).lower() for key in ("status", "result")}
    return bool(words & ({"ok", "success"} if is_good else {"error", "fail", "failed"}))


def payload(text: Text) -> dict[str, Any]:
    """Write *text* as blocks, and as `text` for notifications, and for all that shows no blocks.

    Other chats take the same messages and show `text` alone: it has all, the links included, and
    nobody is to fetch these for a preview.
    """
    header = {"type": "header", "text": _plain_text(f"{text.symbol} {text.title}", 150)}
    blocks: list[dict[str, Any]] = [header]
    if text.lead:
        blocks.append(_paragraph(text.lead))
    if text.facts:
        blocks.append({"type": "section", "fields": [_field(*fact) for fact in text.facts[:10]]})
    for section in text.sections:
        blocks.extend(_section(section))
    buttons = _button(text.action, style="primary") if text.action else []
    if text.profile_link:
        buttons += _button(Action("LinkedIn profile", Secret(text.profile_link)))
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    if text.notes:
        blocks.append(_context(*text.notes[:10]))
    return {
        "text": _whole_lines(_escape(f"{text.symbol} {plain_text(text)}"), 3000),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks[:50],
    }


def _whole_lines(text: str, limit: int) -> str:
    """Return the lines of *text* that are not over *limit* characters together."""
    lines, _, _ = f"{text}\n"[: limit + 1].rpartition("\n")
    return lines or text[:limit]


def _section(section: Section) -> list[dict[str, Any]]:
    blocks = [_heading(section.title)] if section.title else []
    if section.lead:
        blocks.append(_context(section.lead))
    for line in section.lines:
        block = _paragraph(f"{line.name}, {line.what}")
        if line.action and (buttons := _button(line.action)):
            block["accessory"] = buttons[0]
        blocks.append(block)
    if section.more:
        blocks.append(_context(f"and {section.more} more"))
    return blocks


def _plain_text(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": shorten(text, limit), "emoji": False}


def _paragraph(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain_text(text, 3000)}


def _context(*texts: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_plain_text(text, 2000) for text in texts]}


def _heading(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"*{_escape(text)}*"}}


def _field(label: str, value: str) -> dict[str, Any]:
    """Write a fact with a bold label where the value is tame, else without any markup."""
    if _MARKUP.isdisjoint(value):
        return {"type": "mrkdwn", "text": f"*{label}*\n{value}"[:2000], "verbatim": True}
    return _plain_text(f"{label}\n{value}", 2000)


def _button(action: Action, **style: str) -> list[dict[str, Any]]:
    """Write a button, none if Slack would refuse its link."""
    url = action.url.reveal()
    button = {"type": "button", "text": _plain_text(action.label, 75), "url": url, **style}
    return [button] if len(url) <= 3000 else []


def _escape(text: str) -> str:
    """Escape the three characters that Slack asks for."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""`slack`: messages to a channel, through an incoming webhook.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
What others wrote (names above all) goes into `plain_text` objects and `rich_text` blocks, where
Slack interprets nothing.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from monitor.core.doc import Doc
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.notification import Message
from monitor.core.render import Action, Line, Text, Tone, fit, plain_text, render, tone_of
from monitor.core.secret import Secret

from . import _http

NOT_UNDERSTOOD: Final = "Slack did not understand the message; please report this"

_WORD: Final = re.compile(r"[a-z]{2,30}(?:_[a-z]{1,30}){1,6}|ratelimited|accesslimited")
_FAILURE: Final = re.compile(r"\b(?:error|failed|failure|invalid|denied)\b", re.IGNORECASE)
_SLACK: Final = re.compile(r"(?:.+\.)?slack(?:-gov)?\.com", re.IGNORECASE)

MAX_TEXTS: Final = 10_000
"""So many characters all blocks together have: Slack refused messages of some 11,000."""

MAX_TEXT: Final = 3000
"""So many the text for notifications has: it shows the beginning of it."""

MAX_BLOCKS: Final = 50
MAX_LINK: Final = 3000
MAX_MENTIONED: Final = 20

_USER: Final = re.compile(r"[UW][A-Z0-9]{4,30}")


class Mention(BaseModel, frozen=True, extra="forbid"):
    """Who is mentioned with bad news: the *label* of an account holds the id of a Slack user."""

    label: Annotated[
        str,
        Doc("the label of the account that holds a member id", example="slack_user"),
    ] = Field(min_length=1)


class Settings(_http.HttpSettings):
    """A receiver of type `slack`: the secret address of an incoming webhook, whom to mention."""

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
    mention: Annotated[
        Mention | None,
        Doc("who is mentioned with bad news", example={"label": "slack_user"}),
    ] = None

    @property
    def label_checks(self) -> Mapping[str, Callable[[str], object]]:
        """The label that holds the id of a user."""
        return {self.mention.label: _check_user} if self.mention else {}


def _check_user(user: str) -> None:
    if not _USER.fullmatch(user):
        raise ValueError("must be the member id of a Slack user, such as U024BE7LH")


class Notifier(_http.HttpNotifier[Settings]):
    """Posts messages as blocks, with a link that leads to the login."""

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
            f"{answer.answered}, but {words}",
            reason=AttemptReason.CLIENT,
            remedy=remedy,
            doubtful=not advice,
        )

    def request(self, message: Message) -> _http.Request:
        """Write *message* as blocks."""
        content = payload(render(message, self.style), self._mentioned(message))
        return _http.Request(self.settings.url, _http.to_json(content))

    def _mentioned(self, message: Message) -> list[str]:
        """Return who owns an account that there is bad news of, each once."""
        mention = self.settings.mention
        users = (
            notification.labels.get(mention.label, "") if mention else ""
            for notification in message.notifications
            if tone_of(notification) is Tone.BAD
        )
        return [user for user in dict.fromkeys(users) if _USER.fullmatch(user)]


def _unclear(answer: _http.Answer) -> DeliveryError:
    text = f"{answer.answered} without Slack's ok; it may have arrived"
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


def payload(text: Text, mentioned: Sequence[str] = ()) -> dict[str, Any]:
    """Write *text* as blocks, and as `text` for notifications, and for all that shows no blocks.

    Other chats take the same messages and show `text` alone: it has the links too, and nobody is to
    fetch these for a preview. A message that stays where it is has no buttons: on those of an
    incoming webhook Slack shows a warning once they were clicked.
    """
    blocks = _blocks(fit(text, _size_of_blocks, MAX_TEXTS))[: MAX_BLOCKS - 1]
    if mentioned:
        users = " ".join(f"<@{user}>" for user in mentioned[:MAX_MENTIONED])
        blocks.insert(1, {"type": "section", "text": {"type": "mrkdwn", "text": users}})
    return {
        "text": _as_text(fit(text, lambda fitting: len(_as_text(fitting)), MAX_TEXT))[:MAX_TEXT],
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def _as_text(text: Text) -> str:
    return _escape(f"{text.symbol} {plain_text(text)}").rstrip("\n")


def _size_of_blocks(text: Text) -> int:
    return sum(map(_size, _blocks(text)))


def _size(part: Any) -> int:
    """Count the characters of all texts and links, an emoji as two."""
    match part:
        case str():
            return len(_utf16(part)) // 2
        case dict():
            return sum(_size(value) for key, value in part.items() if key not in ("type", "style"))
        case list():
            return sum(map(_size, part))
        case _:
            return 0


def _blocks(text: Text) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    blocks.append({"type": "header", "text": _plain_text(f"{text.symbol} {text.title}", 150)})
    blocks += _rich(_section([*_literal(text.lead), *_on_new_line(text.action)]))
    facts: list[dict[str, Any]] = []
    for label, value, url in text.facts:
        line = "\n" if facts else ""
        facts += _literal(f"{line}{label}: ", bold=True)
        facts += [_link(value, url)] if url else _literal(value)
    blocks += _rich(_section(facts))
    for section in text.sections:
        title = _literal(section.title, bold=True)
        lead = _literal(f"\n{section.lead}" if title and section.lead else section.lead)
        blocks += _rich(
            _section([*title, *lead, *_on_new_line(section.action)]),
            _list([_line(line) for line in section.lines]),
            _section(_literal(section.rest and f"… {section.rest}")),
        )
    if text.notes:
        notes = [_plain_text(note, 2000) for note in text.notes[:10]]
        blocks.append({"type": "context", "elements": notes})
    return blocks


def _line(line: Line) -> list[dict[str, Any]]:
    about = _literal(f", {line.what}" if line.what else "")
    link = _action(line.action)
    return [*_literal(line.name, bold=True), *about, *_literal(": " if link else ""), *link]


def _rich(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    """Write a block of what there is of *elements*: in it Slack takes every text as it stands.

    https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
    """
    present = [element for element in elements if element["elements"]]
    return [{"type": "rich_text", "elements": present}] if present else []


def _section(elements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": elements}


def _list(items: list[list[dict[str, Any]]]) -> dict[str, Any]:
    elements = [_section(item) for item in items]
    return {"type": "rich_text_list", "style": "bullet", "elements": elements}


def _literal(text: str, *, bold: bool = False) -> list[dict[str, Any]]:
    style = {"style": {"bold": True}} if bold else {}
    return [{"type": "text", "text": text, **style}] if text else []


def _on_new_line(action: Action | None) -> list[dict[str, Any]]:
    link = _action(action)
    return [*_literal("\n"), *link] if link else []


def _action(action: Action | None) -> list[dict[str, Any]]:
    """Write a link, none if it is longer than Slack takes."""
    if action is None or len(action.url.reveal()) > MAX_LINK:
        return []
    return [_link(action.label, action.url.reveal(), style={"bold": True})]


def _link(text: str, url: str, **style: Any) -> dict[str, Any]:
    return {"type": "link", "text": text, "url": url, **style}


def _plain_text(text: str, limit: int) -> dict[str, Any]:
    encoded = _utf16(text)
    if len(encoded) > 2 * limit:
        text = f"{encoded[: 2 * limit - 2].decode('utf-16-le', 'ignore').rstrip()}…"
    return {"type": "plain_text", "text": text, "emoji": False}


def _utf16(text: str) -> bytes:
    """Encode *text* as those do who count an emoji as two: where it fits then, it fits for all."""
    return text.encode("utf-16-le", "replace")


def _escape(text: str) -> str:
    """Escape the three characters that Slack asks for."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

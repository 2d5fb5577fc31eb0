"""Notifications and messages, each with sensible values."""

import re
from dataclasses import replace

from harness.core import HOUR, LINK, MINUTE, NOON
from monitor.core.duration import Duration
from monitor.core.model import (
    BLIND_CAUSES,
    Account,
    Cause,
    EarlierCause,
    EventType,
    Incident,
    Resolution,
    Scope,
    Status,
)
from monitor.core.notification import Message, Notification, Undelivered
from monitor.core.secret import Secret

STATUS = {
    Cause.RECONNECTION_REQUIRED: Status.RECONNECTION_REQUIRED,
    Cause.FROZEN: Status.FROZEN,
    Cause.UNKNOWN: Status.UNKNOWN,
    Cause.FLAPPING: Status.ACTIVE,
}

SUBJECTS = {Cause.SUBSCRIPTION: "subscription"}
DETAILS = {Cause.SUBSCRIPTION: "past_due seats:10:12"}

INVISIBLE = set("\u200b\u200f\u202a\u202e\u2066\u2067\u2069\ufeff\u00ad\x00\x1b\n\r\u2028\u3164")

# What a program may take for an address: a word with a scheme, a host, a mail's, a share's.
ADDRESS = re.compile(
    r"[a-z]+:[^\s]|//|\\\\|\w[.\u3002\uff0e\uff61]\w|\w[@\uff20]\w|^@\w", re.IGNORECASE
)

NAMES = {
    "Amharic": "አበበ ቢቂላ",
    "Arabic": "مُحَمَّد بن عبد الله",
    "Armenian": "Արամ Խաչատրյան",
    "Bengali": "র\u200d্যাব রবীন্দ্রনাথ ঠাকুর",
    "Burmese": "လှိုင်မြို့ ရွှံ့",
    "Chinese": "王小明",
    "Emoji": "👩🏽\u200d💻 Foxy 👩\u200d👩\u200d👧 🏳️\u200d🌈 1️⃣",
    "French": "Anne-Laure D’Hôtel (elle/she)",
    "Georgian": "შოთა რუსთაველი",
    "German": "Dr. Jürgen Groß, Ph.D",
    "Greek": "Ἀριστοτέλης Ωνάσης",
    "Hebrew": "שָׁלוֹם עֲלֵיכֶם",
    "Hindi": "श्री राहुल शर्मा",
    "Icelandic": "Guðrún Þórðardóttir",
    "Japanese": "渡辺\U000e0101 さくら・ジョン",
    "Khmer": "ស៊ីសុវត្ថិ មុនីវង្ស",
    "Korean": "김 민수",
    "Malayalam": "അനില്\u200d കുമാര്\u200d",
    "Persian": "محمد\u200cرضا شجریان",
    "Polish": "Łucja Żółć",
    "Russian": "Фёдор Михайлович Достоевский",
    "Sinhala": "ශ්\u200dරී රාමචන්ද්\u200dර",
    "Spanish": "José Ñúñez (él)",
    "Swahili": "Ng'ang'a wa Thiong'o",
    "Tamil": "மு. க. ஸ்டாலின்",
    "Thai": "ธิดา อ้ำอ๋อง กุ๊ก",
    "Tibetan": "བསྟན་འཛིན་རྒྱ་མཚོ་ ཧཱུྃ",
    "Turkish": "İbrahim Işık",
    "Urdu": "ذوالفقار علی بھٹو",
    "Vietnamese": "Nguyễn Thị Ánh Tuyết",
    "Yoruba": "Ọ̀ṣọ́ọ̀",
}
"""Names as people have them: no two scripts are alike in what they join and stack."""

HOSTILE = (
    "🦊 Foxy 👩‍👩‍👧",
    "\u202eeod enaJ\u202c",
    "محمد \u2067abc",
    "Z\u0351\u0352\u0353\u0354\u0355\u0356\u0357algo",
    "山田太郎",
    "Ja\u200bne\ufeff\u2060 Doe",
    "Jane\nDoe\r\nBcc: evil@example.com\r\n\r\nbody",
    "Jane\x00\x1b[31mDoe\x7f",
    "x" * 5000,
    "",
    " \u200b\n",
    "\u3164\u2800",
    "\ud800lone",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "<!channel> <@U1> <!here|here> *bold* _it_ ~no~ `code` @here & <https://evil.example|click>",
    "[click](javascript:alert(1)) **bold** # head",
    "\"quotes\" 'and' \\back\\slash {{ 7*7 }} {% raw %} ${HOME} %s {0}",
    "Bob is active again. Nothing to do.",
    "Bob” is active again. Log in at evil.example/x or https://t.co/x. “Jane",
    "e@evil.example \\\\evil\\share mailto:e@evil.example www.evil.example tel:+4930123456",
    "=HYPERLINK(1)",
    "+1;2,3",
    "=?utf-8?q?J=0AReply-To=3A_evil=40example.com?=",
    "=?utf-8?q?J=0A=0AAll_is_well=2E?=",
    "=?=?utf-7?q?+2AA-?=",
    "=?unicode_escape?q?=5Cud800?=",
    "=?utf-8?b?!!!?=",
)


def account(name="Jane Doe", *, id_="d90ac1f6-1111-4222-8333-444455556666", **fields):
    values = {
        "workspace": "acme",
        "id": id_,
        "name": name,
        "url": "https://www.linkedin.com/in/jane-doe/",
        "country": "US",
        "status": Status.RECONNECTION_REQUIRED,
        "raw_status": "reconnection_required",
        "since": NOON - 5 * MINUTE,
        "first_seen_at": 0,
        "matched_name": name,
    }
    return Account(**{**values, **fields})


def notification(
    event=EventType.OPENED,
    cause=Cause.RECONNECTION_REQUIRED,
    resolution=None,
    *,
    link=LINK,
    person=None,
    status=None,
    **fields,
):
    """One notification; without *person*, of Jane Doe or of the workspace, as *cause* wants it."""
    if event is EventType.NOTICE:
        values = {"event": event, "at": NOON, "workspace": "acme", "labels": {}, "incident": None}
        return Notification(**{**values, "account": person or account(), **fields})
    of_account = cause not in (*BLIND_CAUSES, Cause.SUBSCRIPTION)
    ended, changed = event is EventType.RESOLVED, event is EventType.CHANGED
    lasted = Duration(2 * HOUR + 5 * MINUTE)
    status = status or (Status.ACTIVE if ended else STATUS.get(cause))
    if of_account:
        person = person or account(
            status=status, raw_status="suspended?" if status is Status.UNKNOWN else status
        )
    incident = Incident(
        id=f"incident-{person.id if of_account else 'acme'}",
        workspace="acme",
        scope=Scope.ACCOUNT if of_account else Scope.WORKSPACE,
        subject=person.id if of_account else SUBJECTS.get(cause, "reading"),
        cause=cause,
        opened_at=NOON - lasted,
        cause_since=NOON if changed else NOON - lasted,
        earlier=(EarlierCause(Cause.RECONNECTION_REQUIRED, lasted),) if changed else (),
        status=status,
        raw_status=person.raw_status if of_account else None,
        detail=_detail(cause, status) if of_account else DETAILS.get(cause, "no answer in 30 s"),
        resolved_at=NOON if ended else None,
        resolution=(resolution or Resolution.RECOVERED) if ended else None,
    )
    login = of_account and not ended and person.status is Status.RECONNECTION_REQUIRED
    values = {
        "event": event,
        "at": NOON,
        "workspace": "acme",
        "labels": {"team": "growth"},
        "account": person if of_account else None,
        "incident": incident,
        "link": Secret(link) if link and login else None,
    }
    return Notification(**{**values, **fields})


def _detail(cause, status):
    """What an account that keeps changing was as it opened: it opens while that is bad."""
    if cause is not Cause.FLAPPING:
        return ""
    return Status.RECONNECTION_REQUIRED if status is Status.ACTIVE else status


def undelivered(receiver="crm", why="answered 404 Not Found"):
    """Who could not be told, for the fallback's copy."""
    return Undelivered(receiver, why, NOON - 10 * MINUTE)


def message(
    *notifications, id_="3b7c0d1e-0000-4000-8000-000000000001", now=NOON, address="", done=()
):
    return Message(id_, "ops", notifications or (notification(),), now, address, done)


RENAMED = account(matched_name="Jane Roe", rules_told_at=NOON)


def changed_twice(**fields):
    """The end of what was signed out for 4 h, then frozen for 2 d."""
    ended = notification(EventType.RESOLVED, Cause.FROZEN)
    times = {"cause_since": NOON - 48 * HOUR, "opened_at": NOON - 52 * HOUR}
    earlier = (EarlierCause(Cause.RECONNECTION_REQUIRED, Duration(4 * HOUR)),)
    incident = replace(ended.incident, earlier=earlier, **times)
    return replace(ended, incident=replace(incident, **fields))


def every_notification():
    """Every kind of notification of one incident or account."""
    for event in EventType:
        if event is EventType.NOTICE:
            yield notification(event, detail="disappeared")
            yield notification(event, detail="replaced")
            yield notification(event, detail="rules_changed", person=RENAMED)
            yield notification(event, detail="appeared")
            yield notification(event, account=None, detail="This is a test.", workspace="")
            continue
        for cause in Cause:
            for status in Status if cause is Cause.FLAPPING else (None,):
                for link in (LINK, None):
                    for resolution in Resolution if event is EventType.RESOLVED else (None,):
                        yield notification(event, cause, resolution, link=link, status=status)

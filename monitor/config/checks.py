"""Rules across the sections of a configuration."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.core.duration import Duration
from monitor.core.inventory import AccountRule
from monitor.core.policy import IncidentPolicy
from monitor.core.url import travels_in_clear
from monitor.cron import check_cron
from monitor.notifiers import ReceiverSettings
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token, TokenError
from monitor.store import address
from monitor.store.settings import StorageSettings
from monitor.web.settings import WebSettings

from .accounts_file import AccountsFile
from .document import Document, Location, Table, is_presentable, oddity, suggestion
from .settings import PollSettings, WorkspaceSettings

_GLOB: Final = frozenset("*?[")


@dataclass(slots=True)
class Sections:
    """The valid sections (None: missing or invalid), and the valid items of lists by index."""

    linked_api: LinkedApiSettings | None = None
    poll: PollSettings | None = None
    workspaces: Mapping[int, WorkspaceSettings] = field(default_factory=dict)
    accounts: Mapping[int, AccountRule] = field(default_factory=dict)
    receivers: Mapping[int, ReceiverSettings] = field(default_factory=dict)
    web: WebSettings | None = None
    storage: StorageSettings | None = None
    incidents: IncidentPolicy | None = None
    rows: AccountsFile | None = None


def check(document: Document, sections: Sections) -> list[str]:
    """Report what contradicts itself; return warnings about what is odd but usable."""
    _check_names(document)
    _check_crontabs(document)
    _check_addresses(document)
    _check_rate(document, sections)
    _check_renamed(document, sections.workspaces)
    _check_labels(document, sections)
    _check_kept(document, sections)
    values = _label_values(sections)
    warnings = [
        str(document.problem(location, message))
        for location, message in (
            *_unknown_workspaces(document),
            *_unknown_address_labels(sections, values),
            *_decided_by_name(sections),
            *_idle_routes(document, values),
            *_unnamed_receivers(document),
            *_repeated_tokens(document, sections.workspaces),
            *_open_metrics(sections.web),
            *_clear_database(sections.storage),
            *_clear_proxy(sections.linked_api),
            *(
                (("receivers", index, key), message)
                for index, receiver in sections.receivers.items()
                for key, message in receiver.oddities.items()
            ),
        )
    ]
    return warnings + _rows_decided_by_name(sections)


def _check_names(document: Document) -> None:
    for section, noun in (("workspaces", "workspace"), ("receivers", "receiver")):
        first: dict[str, int] = {}
        for index, name in _names(document, section):
            if first.setdefault(name, index) != index:
                message = f"{section}[{first[name]}] has the same name; a {noun} needs its own"
                document.report((section, index, "name"), message)
    receivers = {name for _, name in _names(document, "receivers")}
    references = [
        *_addressees(document),
        *_muted_receivers(document),
        (("fallback",), document.root.get("fallback")),
    ]
    is_misspelt = document.root.get("receivers") is None and any(
        len(location) == 1 for location in document.reported
    )
    for location, name in () if is_misspelt else references:
        if isinstance(name, str) and name not in receivers:
            message = "names no receiver"
            if is_presentable(name):
                message = f"no receiver is called {name!r}{suggestion(name, receivers)}"
            document.report(location, message)


def _addressees(document: Document) -> Iterator[tuple[Location, Any]]:
    """Yield what the routes, and their steps, name as receivers."""
    for index, route in _tables(document, "routes"):
        yield from _listed(("routes", index, "to"), route.get("to"))
        steps = route.get("escalate")
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, Table):
                yield from _listed(("routes", index, "escalate", number, "to"), step.get("to"))


def _muted_receivers(document: Document) -> Iterator[tuple[Location, Any]]:
    """Yield what the mutes name as receivers."""
    for index, mute in _tables(document, "mutes"):
        if "to" in mute:
            yield from _listed(("mutes", index, "to"), mute["to"])


def _check_crontabs(document: Document) -> None:
    for index, mute in _tables(document, "mutes"):
        if isinstance(cron := mute.get("cron"), str):
            try:
                check_cron(cron)
            except ValueError as error:
                document.report(("mutes", index, "cron"), str(error))


def _listed(location: Location, value: Any) -> Iterator[tuple[Location, Any]]:
    """Yield each name of *value*: a list of them, or one."""
    if isinstance(value, list):
        yield from (((*location, item), name) for item, name in enumerate(value))
    else:
        yield location, value


def _names(document: Document, section: str) -> Iterator[tuple[int, str]]:
    default = "default" if section == "workspaces" else None
    for index, table in _tables(document, section):
        name = table.get("name", default)
        if isinstance(name, str):
            yield index, name


def _tables(document: Document, section: str) -> Iterator[tuple[int, Table]]:
    items = document.root.get(section)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Table):
            yield index, item


def _check_addresses(document: Document) -> None:
    origins = document.find(("reconnection", "link_origins"))[2]
    count = len(origins) if isinstance(origins, list) else 0
    for location, content in (
        (("linked_api", "base_url"), "the token"),
        *((("reconnection", "link_origins", index), "the login") for index in range(count)),
    ):
        _, deepest, url = document.find(location)
        if deepest == location and travels_in_clear(str(url)):
            message = f"must start with https://: over http:// {content} would travel in clear"
            document.report(location, message)


def _check_rate(document: Document, sections: Sections) -> None:
    if sections.linked_api is None:
        return
    limit = sections.linked_api.requests_per_minute
    shortest = Duration(60_000_000 // limit)
    settings: list[tuple[Location, PollSettings | None]] = [(("poll", "every"), sections.poll)]
    for index, workspace in sections.workspaces.items():
        settings.append((("workspaces", index, "poll", "every"), workspace.poll))
    for location, poll in settings:
        if poll and "every" in poll.model_fields_set and poll.every < shortest:
            document.report(
                location,
                f"{poll.every} is too often for {limit} requests a minute"
                f" (linked_api.requests_per_minute); the shortest is {shortest}",
            )


def _check_renamed(document: Document, workspaces: Mapping[int, WorkspaceSettings]) -> None:
    names = {name for _, name in _names(document, "workspaces")}
    first: dict[str, int] = {}
    for index, workspace in workspaces.items():
        old = workspace.renamed_from
        if old is None:
            continue
        location = ("workspaces", index, "renamed_from")
        if old in names:
            document.report(location, f"{old} is still the name of a workspace")
        elif first.setdefault(old, index) != index:
            document.report(location, f"is the former name of workspaces[{first[old]}] as well")


def _check_kept(document: Document, sections: Sections) -> None:
    if sections.incidents is None:
        return
    within, keep = sections.incidents.recurring.within, (sections.storage or StorageSettings()).keep
    if within > keep:
        message = f"must be at most storage.keep ({keep}): what is older is forgotten"
        document.report(("incidents", "recurring", "within"), message)


def _check_labels(document: Document, sections: Sections) -> None:
    """Report labels of which a receiver makes no sense."""
    fallback = document.root.get("fallback")
    checks: dict[tuple[str, Callable[[str], object]], int] = {}  # with the first that goes by each
    for index, receiver in sections.receivers.items():
        if receiver.address_label and receiver.name == fallback:
            document.report(
                ("fallback",), f"{fallback} has no address of its own; name one that has"
            )
        for label_check in receiver.label_checks.items():
            checks.setdefault(label_check, index)
    for (label, check_value), index in checks.items():
        for location, labels in _labels(sections):
            if problem := _defect(labels.get(label), check_value, index):
                document.report((*location, label), problem)
        if table := sections.rows:
            for line, row in table.rows.items():
                if problem := _defect(row.labels.get(label), check_value, index):
                    document.problems.append(table.problem(line, problem, label))


def _defect(value: str | None, check_value: Callable[[str], object], index: int) -> str | None:
    """Return why receiver number *index* makes no sense of the *value* of a label."""
    if value is not None:
        try:
            check_value(value)
        except ValueError as error:
            return f"{error}: receivers[{index}] goes by it"
    return None


def _rows_decided_by_name(sections: Sections) -> list[str]:
    """Say once how many rows of `accounts_file` decide by a name or url who gets a login link."""
    if sections.rows is None:
        return []
    addresses = {receiver.address_label for receiver in sections.receivers.values()}
    lines = [
        line
        for line, row in sections.rows.rows.items()
        if row.column != "id" and (row.ignore is not None or row.labels.keys() & addresses)
    ]
    if not lines:
        return []
    rows = "1 row goes" if len(lines) == 1 else f"{len(lines)} rows go"
    message = f"{rows} by a name or url, which whoever edits the profile can choose; give the id"
    return [str(sections.rows.problem(lines[0], message))]


def _label_values(sections: Sections) -> Mapping[str, Container[str]]:
    """Return the values that each label of a workspace or an account has."""
    values: dict[str, set[str]] = {}
    rows = sections.rows.rows.values() if sections.rows else ()
    for labels in (*(labels for _, labels in _labels(sections)), *(row.labels for row in rows)):
        for label, value in labels.items():
            values.setdefault(label, set()).add(value)
    return values


def _labels(sections: Sections) -> Iterator[tuple[Location, Mapping[str, str]]]:
    for index, workspace in sections.workspaces.items():
        yield ("workspaces", index, "labels"), workspace.labels
    for index, rule in sections.accounts.items():
        yield ("accounts", index, "labels"), rule.labels


def _unknown_address_labels(
    sections: Sections, values: Mapping[str, Container[str]]
) -> Iterator[tuple[Location, str]]:
    for index, receiver in sections.receivers.items():
        label = receiver.address_label
        if label and (problem := _unknown_label(label, values)):
            yield ("receivers", index, "to", "label"), f"will never hear anything: {problem}"


def _decided_by_name(sections: Sections) -> Iterator[tuple[Location, str]]:
    """Yield what only a name or url decides: who gets a login link, or whether it is watched."""
    addresses = {receiver.address_label for receiver in sections.receivers.values()}
    for index, rule in sections.accounts.items():
        match = rule.match
        if not (match.names or match.urls) or (match.ids and "*" not in match.ids):
            continue
        decided: list[Location] = [("ignore",)] if rule.ignore is not None else []
        decided += [("labels", label) for label in rule.labels if label in addresses]
        for location in decided:
            message = "goes by a name or url, which whoever edits the profile can choose; match ids"
            yield ("accounts", index, *location), message


def _idle_routes(
    document: Document, values: Mapping[str, Container[str]]
) -> Iterator[tuple[Location, str]]:
    """Yield which routes match nothing, and whether there may be events that none matches."""
    tables = list(_tables(document, "routes"))
    matches = {index: route.get("match") or {} for index, route in tables}
    final = next((i for i, route in tables if not matches[i] and not route.get("continue")), None)
    for index, match in matches.items():
        labels = match.get("labels") if isinstance(match, Table) else None
        for label, value in (labels if isinstance(labels, Table) else {}).items():
            location = ("routes", index, "match", "labels", label)
            if problem := _unknown_label(label, values):
                yield location, f"matches nothing: {problem}"
            elif isinstance(value, str) and value not in values[label]:
                yield location, "matches nothing: no label has this value"
        if final is not None and index > final:
            message = f"is never asked: routes[{final}] matches everything; put that one last"
            yield ("routes", index), message
    if matches and document.root.get("fallback") is None and all(matches.values()):
        message = (
            "nobody is told of what none of them matches; end with one without match, or name a"
            " fallback"
        )
        yield ("routes",), message


def _unnamed_receivers(document: Document) -> Iterator[tuple[Location, str]]:
    """Yield the receivers that hear nothing: there are routes, and neither they nor fallback."""
    named = {name for _, name in _addressees(document) if isinstance(name, str)}
    if named:
        named.add(str(document.root.get("fallback")))
        for index, name in _names(document, "receivers"):
            if name not in named:
                yield ("receivers", index), "hears nothing: neither a route nor fallback names it"


def _unknown_label(label: str, values: Mapping[str, Container[str]]) -> str | None:
    """Return that nothing has *label*, or None if something has."""
    if label in values:
        return None
    hint = f" {label}{suggestion(label, values)}" if is_presentable(label) else ""
    return f"no workspace and no account has the label{hint}"


def _unknown_workspaces(document: Document) -> Iterator[tuple[Location, str]]:
    workspaces = {name for _, name in _names(document, "workspaces")}
    for section in ("accounts", "routes", "mutes"):
        for index, item in _tables(document, section):
            match = item.get("match")
            names = match.get("workspace") if isinstance(match, Table) else None
            for name in names if isinstance(names, list) else [names]:
                if isinstance(name, str) and name not in workspaces and not _GLOB & set(name):
                    message = "matches no workspace"
                    if is_presentable(name):
                        message = f"no workspace is called {name!r}{suggestion(name, workspaces)}"
                    yield (section, index, "match", "workspace"), message


def _repeated_tokens(
    document: Document, workspaces: Mapping[int, WorkspaceSettings]
) -> Iterator[tuple[Location, str]]:
    first: dict[str, int] = {}
    for index, workspace in workspaces.items():
        origin = workspace.token or workspace.token_file
        assert origin is not None
        location = ("workspaces", index, "token" if workspace.token else "token_file")
        try:
            token = Token(origin).text()
        except TokenError as error:
            document.report(location, str(error))
            continue
        if workspace.token is None and (odd := oddity(token)):
            yield location, odd
        if first.setdefault(token, index) != index:
            yield location, f"is the token of workspaces[{first[token]}] as well"


def _open_metrics(web: WebSettings | None) -> Iterator[tuple[Location, str]]:
    if web and not web.is_private:
        message = "other hosts can read the metrics; set web.metrics_token, or listen on 127.0.0.1"
        yield ("web", "listen"), message


def _clear_database(storage: StorageSettings | None) -> Iterator[tuple[Location, str]]:
    if storage and address.is_in_clear(address.parse(storage.url.reveal())):
        message = "may go in clear, password included; add ?sslmode=verify-full&sslrootcert=system"
        yield ("storage", "url"), message


def _clear_proxy(settings: LinkedApiSettings | None) -> Iterator[tuple[Location, str]]:
    url = settings.proxy.reveal() if settings and settings.proxy else ""
    if "@" in url and travels_in_clear(url):
        yield ("linked_api", "proxy"), "is told its password in clear; https:// would hide it"

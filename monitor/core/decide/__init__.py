"""The decisions: what one observation, or time alone, does to accounts and incidents.

    HEALTHY ──bad──► SUSPECT ──bad, open_after polls──► OPEN ──good, resolve_after polls──► HEALTHY
       ▲                │                               │  ▲ │
       └─────good───────┘ (nobody was told)             │  └─┘ another cause: "changed"
                                                        └─ gone for missing_after polls, or
                                                           left the configuration: resolved

Rules:
1. Everything that opens, changes or ends an incident is in this package, and says why.
2. Functions here take values and return a `Decision`; time and new ids are arguments.
3. Only scheduled polls count: any other may raise a count from 0 to 1 and no further.
4. A failed poll says nothing about accounts.

accounts   what a good poll shows            blindness  what a failed poll means
belief     lists without a known account     sessions   links: which are missing, which came
due        what time alone brings            outage     most workspaces can't be read at once
matching   new names that rules would match  subscription  how the accounts are paid for
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from monitor.core.diff import Changes
from monitor.core.draft import Decision, Draft
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import (
    APPEARED,
    Account,
    Failure,
    Incident,
    ListedAccount,
    Micros,
    Reason,
    Session,
    Subject,
    Workspace,
)
from monitor.core.policy import REFRESH_AFTER, IncidentPolicy
from monitor.core.subscription import Subscription

from . import accounts, belief, blindness, matching, outage
from . import subscription as paying
from .accounts import AccountState, Input
from .sessions import lack_link

Step = Callable[[Draft, Account, ListedAccount], Account]

TRANSITIONS: Final[Mapping[tuple[AccountState, Input], Step]] = {
    (AccountState.HEALTHY, Input.GOOD): accounts.stay_healthy,
    (AccountState.HEALTHY, Input.BAD): accounts.count_bad,
    (AccountState.SUSPECT, Input.GOOD): accounts.stay_healthy,
    (AccountState.SUSPECT, Input.BAD): accounts.count_bad,
    (AccountState.OPEN, Input.GOOD): accounts.count_good,
    (AccountState.OPEN, Input.BAD): accounts.still_bad,
}
"""What an input does in each state; missing accounts are alike in all (`note_missing`)."""


def decide(
    workspace: Workspace,
    observation: Changes | Failure,
    incidents: Mapping[Subject, Incident],
    sessions: Mapping[str, Session],
    *,
    policy: IncidentPolicy,
    inventory: Inventory,
    create: bool,
    scheduled: bool,
    refresh_after: Duration = REFRESH_AFTER,
    now: Micros,
    new_id: Callable[[], str],
    accepted_by: str | None = None,
    others: outage.Others | None = None,
    subscription: Subscription | None = None,
    asks_subscription: bool = False,
) -> Decision:
    """Decide what one poll of *workspace* means.

    *incidents* are the open ones of the workspace by what they are about, *sessions* those of its
    accounts by their ids; *inventory* has the rules that match accounts. *create* says whether a
    missing link is to be asked for, *scheduled* whether the schedule caused this poll,
    *refresh_after* how long a link that rotated is kept back, *accepted_by* which person said that
    a strange list is right, *others* how other workspaces fare (None: that doesn't matter).
    *subscription* is how the accounts are paid for, if that was asked just now (as a rule it is:
    *asks_subscription*).
    """
    draft = Draft(
        workspace,
        now,
        new_id,
        policy,
        scheduled=scheduled,
        refresh_after=refresh_after,
        recorded_sessions=sessions,
        incidents=dict(incidents),
    )
    if isinstance(observation, Failure):
        return draft.decision(blindness.observe_failure(draft, observation, others), incidents)
    if observation.strange and accepted_by is None:
        refused = belief.count_strange(draft, observation)
        if not belief.is_believed(draft, refused):
            after = blindness.observe_failure(draft, belief.refusal(draft), others)
            return draft.decision(replace(after, refused=refused), incidents)
    outage.follow(draft, others, None)
    after = blindness.recover(draft, accepted_by)
    fingerprint, is_rematched = observation.fingerprint, False
    if fingerprint:
        is_rematched = not workspace.is_matched_by(fingerprint.rules)
        after = replace(after, fingerprint=fingerprint)
    tells_new = policy.notice_new and not is_rematched  # as all are at first
    for listed in observation.listed:
        account = accounts.merge(draft, workspace.accounts.get(listed.id), listed)
        if not is_rematched:
            account = matching.notice(draft, account, inventory)
        step = TRANSITIONS[accounts.account_state(draft, account), accounts.observe(listed)]
        draft.accounts[account.id] = step(draft, account, listed)
        is_new = listed.id not in workspace.accounts
        if tells_new and is_new and draft.find_open_of(listed.id) is None:
            draft.notice(listed.id, Reason.CONNECTED, APPEARED)
    accounts.note_missing(draft, observation.missing, is_believed=bool(observation.strange))
    accounts.unwatch(draft, observation.unwatched, Reason.IGNORED)
    matching.notice_ignored(draft, observation.renamed)
    if is_rematched:
        matching.match_all_anew(draft, observation.ignored)
    after = replace(after, accounts=draft.accounts_after(), removed=draft.removed_after())
    paying.follow(draft, after, subscription, is_asked=asks_subscription)
    wanted = lack_link(draft) if create else ()
    return draft.decision(after, incidents, wanted=wanted)

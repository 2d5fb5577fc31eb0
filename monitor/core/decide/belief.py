"""Strange lists: none of the known accounts is in them, and still some are believed.

A list is believed if a person accepted it, or if it stays the same for `missing_many_after` polls,
comes with the token of the last good poll, and few accounts are watched: who has but one or two may
well have removed or replaced all of them. Any other is another customer's list, or a broken one:
the workspace is blind, and nothing of the list is recorded but how to know it again.
"""

from typing import Final

from monitor.core.diff import Changes
from monitor.core.draft import Draft
from monitor.core.model import Cause, Failure, RefusedList

FEW: Final = 2
"""So many watched accounts may all be gone at once without a person saying so."""


def count_strange(draft: Draft, changes: Changes) -> RefusedList:
    """Return what is recorded of a strange list if it is refused."""
    workspace = draft.workspace
    before, recorded = workspace.refused, workspace.fingerprint
    polls = before.polls if before and before.key == changes.strange else 0
    is_same_token = recorded and (changes.fingerprint or recorded).token == recorded.token
    polls = draft.count(polls) if is_same_token else 0
    return RefusedList(changes.strange, len(changes.listed), polls)


def is_believed(draft: Draft, refused: RefusedList) -> bool:
    """Return whether the list is believed though no person accepted it."""
    return len(draft.workspace.accounts) <= FEW and refused.polls >= draft.policy.missing_many_after


def refusal(draft: Draft) -> Failure:
    """Return as what failure a refused list counts; the text says what to do."""
    name, count = draft.workspace.name, len(draft.workspace.accounts)
    return Failure(
        Cause.BAD_RESPONSE,
        f"none of the known accounts ({count}) is listed: the token belongs to another customer, or"
        f" all were removed. If that is right: linkedapi-monitor workspaces accept {name}",
    )

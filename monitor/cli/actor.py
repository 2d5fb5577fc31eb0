"""Who is at this command line, and what they do."""

from monitor.app import process
from monitor.core.act import Act, ActKind, Way


def new_act(
    kind: ActKind,
    workspace: str | None = None,
    *,
    by: str | None,
    reason: str = "",
    subject: str | None = None,
    detail: str = "",
) -> Act:
    """Return what the person here does now: *by* is who they say they are.

    It is about one *subject* of *workspace*, or several, as *detail* says, or about none.
    """
    user = process.user()
    return Act(
        id=process.new_id(),
        at=process.now(),
        act=kind,
        way=Way.CLI,
        actor=by or user,
        login=f"{user}@{process.host()}",
        workspace=workspace,
        subject=subject,
        reason=reason,
        detail=detail,
    )

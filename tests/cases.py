"""The cases that must come out right, by name; tests/test_cases.py holds that each has a test.

A test carries the names of those that it is about:

    @pytest.mark.odd_input("unsafe link")
    @pytest.mark.case("crash between send and settle")
    @pytest.mark.pain("storm of alerts")
"""

ODD_INPUTS = frozenset(
    {
        # the account list
        "empty list at first",
        "list suddenly empty",
        "no account list",
        "no pending sessions",
        "odd pending sessions",
        "null or absent details",
        "unknown status",
        "sign-out without a link",
        "stale link of an active account",
        "unsafe link",
        "unusable id",
        "same id twice",
        "hostile name",
        "two accounts of one name",
        "odd or moving connectedAt",
        "account gone for one poll",
        "account gone for good",
        "same person under a new id",
        "two ids of one person",
        "a thousand accounts freeze at once",
        "alternating status",
        "link rotates at each poll",
        "recovery and loss between two polls",
        "unknown fields and extreme values",
        # responses and the way to them
        "odd success field",
        "odd error object",
        "odd body",
        "rate limit with any Retry-After",
        "refusal of every type",
        "redirect",
        "no connection, bad certificate or no answer",
        "unusable token",
        "rotated token",
        "token used twice",
        "one workspace hangs",
        "outage of hours",
        # reconnection sessions
        "list lags behind a login",
        "login under way",
        "session expires before a reminder",
        "session fails or is cancelled",
        "session replaced by somebody else",
        "session is forgotten",
        "session of unknown status",
        "session goes backwards",
        "account recovers before create",
        "create returns the running session",
        "create without an answer",
        "too many connection attempts",
        "too many requests at create",
        # the monitor's own host
        "restart during an incident",
        "damaged database",
        "database of a newer version",
        "clock jumps",
    }
)
"""What Linked API, the network and the host may do to us."""

CASES = frozenset(
    {
        # incidents
        "first poll ever",
        "account disappears while open",
        "signed out, then frozen, then active",
        "flapping account stays bad",
        "many changes at once",
        "burst of unscheduled polls",
        "new name matches other rules",
        "accounts newly frozen, the subscription asked",
        "third incident of the same cause in 7 days",
        # workspaces
        "subscription",
        "another workspace's token pasted",
        "only account of a workspace removed",
        "workspaces accept",
        "token rotated in its file",
        "our own share of the rate limit is used up",
        "Linked API itself is away",
        "poll failed, repeated soon",
        "workspace removed",
        "workspace renamed",
        # links and reminders
        "signed out and no link yet",
        "first link of an incident that had none",
        "link rotates after it was told",
        "reminders due together",
        "mute begins",
        "mute ends while still bad",
        "escalation step due",
        "reminders count from when someone was told",
        "acknowledged",
        "reminder due while the workspace is blind",
        # delivery
        "crash between send and settle",
        "attempt without an answer",
        "database away while a message leaves",
        "receiver refuses a message for good",
        "opening dead, fallback told",
        "receiver removed with notifications pending",
        "receiver to be mended",
        "minute after an attempt without an answer",
        "owner of an account changes while open",
        "event that no route matches",
        "no receivers configured",
        # the monitor's own host
        "start, or the host slept",
        "host asleep for days",
        "clock back",
    }
)
"""What the design has an answer for."""

PAINS = frozenset(
    {
        "alerts of all that is behind what is down",
        "cause that changes in silence",
        "end of what nobody heard of",
        "end that a mute held back",
        "fault of its own database told as an alert",
        "flapping told each time",
        "no threshold of failure or recovery",
        "nobody can take a problem over",
        "nobody else is called when nobody answers",
        "recovery lost in a gap of the states",
        "reminders out of their rhythm",
        "reminders without an end",
        "restart that tells everything again",
        "storm of alerts",
    }
)
"""What hurts people who live with a monitor, and must not happen with this one."""

COMING = frozenset(
    {
        "login fails",
        "new session right after a success",
        "another profile behind the same account",
        "push or click on a replica that is not the holder",
        # webhooks of Linked API
        "webhook twice, late or out of order",
        "webhook for an unknown account",
        "webhook with a bad or old signature",
        "webhook about something else",
        "webhook beyond measure",
        "webhook that the account list contradicts",
        "webhooks lost",
    }
)
"""What is not built yet; whoever builds one moves its name up."""

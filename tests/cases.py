"""The cases that must come out right, by name; tests/test_cases.py holds that each has a test.

A test carries the names of those that it is about: `@pytest.mark.odd_input("unsafe link")`.
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

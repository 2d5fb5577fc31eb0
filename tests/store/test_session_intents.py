"""Intents to ask for sessions: one an account and cooldown, each called once."""

import pytest
from harness.core import HOUR, NOON
from harness.store import DAY

from monitor.core.model import IntentOutcome
from monitor.store import session_intents
from monitor.store.session_intents import SessionIntent


def add(store, *, now, id_="c1", account="a1"):
    intent = SessionIntent(id_, "acme", account, "i1")
    return store.run_now(lambda tx: session_intents.add(tx, [intent], cooldown=HOUR, now=now))


@pytest.mark.case("signed out and no link yet")
def test_a_session_is_asked_for_once_per_account_and_cooldown(store):
    assert add(store, now=NOON)
    assert not add(store, now=NOON + DAY, id_="c2")  # still wanted
    intent = store.run_now(lambda tx: session_intents.claim(tx, "acme"))
    assert not add(store, now=NOON + DAY, id_="c3")  # being called
    store.run_now(lambda tx: session_intents.finish(tx, intent, IntentOutcome.CREATED))

    assert not add(store, now=NOON + HOUR - 1, id_="c4")
    assert add(store, now=NOON + HOUR, id_="c5")
    assert add(store, now=NOON, id_="c6", account="a2")


def test_a_call_that_a_stopped_process_left_behind_is_unknown_and_not_repeated(store):
    add(store, now=NOON)
    store.run_now(lambda tx: session_intents.claim(tx, "acme"))

    store.run_now(lambda tx: session_intents.mark_unknown(tx, "acme"))

    assert store.run_now(lambda tx: session_intents.claim(tx, "acme")) is None
    assert not add(store, now=NOON + HOUR - 1, id_="c2")

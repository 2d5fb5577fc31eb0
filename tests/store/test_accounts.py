"""Accounts: loaded as they were written."""

from harness.core import listed_account

from monitor.store import accounts, workspaces


def test_removed_accounts_are_not_loaded_but_known(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    assert set(harness.run(lambda tx: workspaces.load(tx, "acme")).accounts) == {"a"}
    assert harness.run(lambda tx: accounts.load(tx, "acme", "b")).removed_at == harness.now


def test_what_people_and_apis_write_is_kept_as_it_is(harness):
    odd = 'O\'Brien "%s" %(x)s :name \\ 日本 🙂 \u202e \x7f\ufffd'

    harness.poll(listed_account(odd, name=odd))

    assert harness.run(lambda tx: accounts.load(tx, "acme", odd)).name == odd

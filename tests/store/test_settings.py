"""The section `storage`: what may be configured, and what is shown of it."""

import pytest
from harness.store import DAY
from pydantic import ValidationError

from monitor.core.errors import SetupError
from monitor.store.settings import StorageSettings


def test_the_settings_take_both_and_show_neither():
    settings = StorageSettings(url="postgresql://me:hush@db/alerts")

    assert settings.url.reveal() == "postgresql://me:hush@db/alerts"
    assert "hush" not in f"{settings!r} {settings}"
    with pytest.raises(ValidationError, match="must be sqlite:///"):
        StorageSettings(url="mysql://me:hush@db/alerts")


def test_ended_incidents_are_kept_for_a_week_at_least():
    assert StorageSettings(keep="7d").keep == 7 * DAY
    with pytest.raises(ValidationError, match="must be from 7d to 3650d"):
        StorageSettings(keep="6d")


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_user_without_a_home_has_to_name_the_database(monkeypatch, home):
    def no_entry(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    assert StorageSettings().location.endswith("/linkedapi-monitor/monitor.db")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)

    with pytest.raises(SetupError, match=r"storage.url is missing, and HOME does not say"):
        assert StorageSettings().location
    assert StorageSettings(url="sqlite:///x.db").location == "sqlite:///x.db"

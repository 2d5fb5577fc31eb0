"""What `storage.url` may say."""

import pytest

from monitor.store import address
from monitor.store.db import Store, StoreError


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("sqlite:////data/monitor.db", "/data/monitor.db"),
        ("sqlite:///monitor.db", "monitor.db"),
        ("postgresql://me:p%40ss%2Fword@db.example.com:5433/alerts?sslmode=verify-full", "alerts"),
        ("postgres://me:a/b?c#d@[::1]/alerts", "alerts"),
        ("postgresql:///alerts", "alerts"),
    ],
)
def test_addresses_of_both_databases_are_understood(url, database):
    parsed = address.parse(url)

    assert parsed.database == database
    assert parsed.drivername in ("sqlite", "postgresql")


@pytest.mark.parametrize(
    "url",
    [
        "hush",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://hush/monitor.db",
        "mysql://me:hush@db/alerts",
        "postgresql+asyncpg://me:hush@db/alerts",
        "postgresql://me:hush@db",
        "postgresql://me:hush@db/",
        "postgresql://me:hush@db:hush/alerts",
        "postgresql://me:p@hush@db/alerts",
        "postgresql://me:p@ss/hush@db/alerts",
        "postgresql://me:p@ss?hush@db/alerts",
        "postgresql://me:p@hu/sh?it@db/alerts",
        "postgresql://me:p@ss:hush@db/alerts",
    ],
)
def test_anything_else_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match=r"^must be sqlite:///") as caught:
        address.parse(url)
    assert "hush" not in str(caught.value)

    with pytest.raises(StoreError, match=r"^storage\.url must be"):
        Store.open(url)

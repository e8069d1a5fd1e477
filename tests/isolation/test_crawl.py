"""Seven look around in acme: nothing of umbra comes back, is changed or can be guessed. The quick form of the crawl.

Also with one layer of isolation switched off at a time, because each must hold alone; and with both off, to see that
the crawl would notice.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from config import backups
from config.database import Address, _reconnect_with
from governance.database import isolation

from ..config.test_backups import named
from .crawl import Result, crawl
from .layers import without_managers
from .logins import without_row_security
from .probes import QUICK
from .world import World

pytestmark = pytest.mark.slow


def holds(result: Result, *, requests: int, own: int) -> None:
    """Nothing was found, by a crawl that saw something."""
    assert not result.findings, result.told()
    assert result.requests > requests, result.told()
    assert len(result.own) > own, "acme itself must be seen, or nothing is proven"
    assert result.statuses[200] > result.requests / 10


def test_nothing_of_another_tenant_comes_through(both: World) -> None:
    holds(crawl(both, QUICK), requests=2_000, own=120)


def test_row_level_security_holds_alone(both: World) -> None:
    with without_managers():
        holds(crawl(both, QUICK, ["api"]), requests=500, own=60)


def test_the_managers_hold_alone(both: World) -> None:
    with without_row_security():
        holds(crawl(both, QUICK, ["api"], every=3), requests=150, own=30)


def test_a_restored_database_keeps_tenants_apart_too(
    both: World, admin: Address, tmp_path: Path
) -> None:
    restored = replace(admin, name=f"ab_{secrets.token_hex(6)}")
    before = connection.settings_dict
    try:
        backups.backup(named(admin), tmp_path, tmp_path / "antibody.dump")
        backups.restore(named(restored), tmp_path, tmp_path / "antibody.dump")
        _reconnect_with({**before, "NAME": restored.name})
        assert isolation.missing() == []
        holds(crawl(both, QUICK, ["api"], every=4), requests=100, own=30)
    finally:
        _reconnect_with(before)
        with psycopg.connect(**admin.dsn("postgres"), autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {restored.name} WITH (FORCE)")


def test_the_crawl_finds_what_comes_through_where_nothing_holds(both: World) -> None:
    with without_managers(), without_row_security():
        result = crawl(both, QUICK, ["api"], every=2)
    kinds = Counter(finding.kind for finding in result.findings)
    assert kinds["canary"] > 10, kinds
    assert kinds["id"] > 10, kinds
    assert kinds["differs"] > 10, kinds
    assert kinds["write"] > 0, kinds

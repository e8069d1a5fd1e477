"""A backup holds every tenant's rows, and what is restored from it keeps them apart as before."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from config import backups, database
from config.database import Address, DatabaseError
from governance.database import isolation
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from tests import factories

Environ = dict[str, str]


@pytest.fixture
def source(transactional_db: None) -> Address:
    """The suite's database, with rows of two tenants, as an administrator sees it."""
    for slug in ("acme", "umbra"):
        with tenant_scope(factories.tenant(slug).id):
            factories.incident(f"a failure of {slug}")
    admin = database.administrator(os.environ, settings.DATA_DIR)
    return replace(admin, name=connection.settings_dict["NAME"])


@pytest.fixture
def target(source: Address) -> Iterator[Address]:
    """A database that does not exist yet, on the same server."""
    name = f"ab_{secrets.token_hex(6)}"
    yield replace(source, name=name)
    with psycopg.connect(**source.dsn("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def named(login: Address) -> Environ:
    """The environment in which this is the administrator, as an operator would set it."""
    options = urlencode({"host": login.host, "port": login.port or 5432, **login.options})
    user = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"
    return {"DATABASE_ADMIN_URL": f"postgresql://{user}@/{login.name}?{options}"}


def rows(login: Address) -> dict[str, str]:
    """A digest of every table's rows."""
    with psycopg.connect(**login.dsn()) as server:
        tables = server.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
        return {
            table: str(
                server.execute(
                    f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
                ).fetchone()
            )
            for (table,) in tables
        }


def missing_in(login: Address) -> list[isolation.Rule]:
    """What the restored database lacks, asked by the app's own login."""
    before = connection.settings_dict
    database._reconnect_with({**before, "NAME": login.name})
    try:
        return isolation.missing()
    finally:
        database._reconnect_with(before)


def test_what_is_restored_is_what_was_backed_up(
    source: Address, target: Address, tmp_path: Path
) -> None:
    file = tmp_path / "antibody.dump"
    assert backups.backup(named(source), tmp_path, file) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    backups.restore(named(target), tmp_path, file)
    assert rows(target) == rows(source)
    assert missing_in(target) == []
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_what_is_there_is_dropped_only_when_that_is_said(
    source: Address, target: Address, tmp_path: Path
) -> None:
    file = tmp_path / "antibody.dump"
    backups.backup(named(source), tmp_path, file)
    backups.restore(named(target), tmp_path, file)
    with psycopg.connect(**target.dsn(), autocommit=True) as inside:
        inside.execute("UPDATE governance_tenant SET name = 'changed since'")
        with pytest.raises(DatabaseError, match="is not empty"):
            backups.restore(named(target), tmp_path, file)
        # Somebody is at work in it; he is thrown out.
        backups.restore(named(target), tmp_path, file, replace_all=True)
        with pytest.raises(psycopg.OperationalError):
            inside.execute("SELECT 1")
    assert rows(target) == rows(source)


def test_a_restore_that_fails_changes_nothing(
    source: Address, target: Address, tmp_path: Path
) -> None:
    file = tmp_path / "antibody.dump"
    backups.backup(named(source), tmp_path, file)
    backups.restore(named(target), tmp_path, file)
    before = rows(target)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatabaseError, match="pg_restore failed"):
        backups.restore(named(target), tmp_path, file, replace_all=True)
    assert rows(target) == before
    with psycopg.connect(**source.dsn("postgres")) as server:
        left = server.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{target.name}%"]
        ).fetchall()
    assert left == [(target.name,)]


def test_what_is_no_backup_is_refused(source: Address, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    for name, complaint in (("notes.txt", "is no backup"), ("nowhere", "cannot be read")):
        with pytest.raises(DatabaseError, match=complaint):
            backups.restore(named(source), tmp_path, tmp_path / name, replace_all=True)


def test_who_is_held_by_row_level_security_cannot_back_up(acme: Tenant, tmp_path: Path) -> None:
    app = {"DATABASE_URL": "postgresql://antibody_app@localhost/antibody"}
    with pytest.raises(DatabaseError, match="DATABASE_ADMIN_URL"):
        backups.backup(app, tmp_path, tmp_path / "antibody.dump")
    login = connection.settings_dict
    held = Address(
        login["HOST"], login["PORT"], login["USER"], login["PASSWORD"], login["NAME"], {}
    )
    with pytest.raises(DatabaseError, match="BYPASSRLS"):
        backups.backup(named(held), tmp_path, tmp_path / "antibody.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(source: Address, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be written"):
        backups.backup(named(source), tmp_path, tmp_path / "nowhere" / "antibody.dump")

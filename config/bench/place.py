"""The database of the bench: one of its own on the product's server, made anew for each run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import pq, sql

from config.database import as_owner

NAME = "antibody_bench"
LEAVING_SECONDS = 20.0
_LIBPQ = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def use(name: str = NAME) -> None:
    """Send this process's default connection to the bench's database. Before the first query."""
    settings.DATABASES["default"]["NAME"] = name
    connection.settings_dict["NAME"] = name


def of_this_process(what: str) -> str:
    """The name of a database that no other process makes at the same time."""
    return f"antibody_{what}_{os.getpid()}"


def tidy(what: str) -> None:
    """Drop databases that ``of_this_process`` named for processes that are gone, killed before they could."""
    with psycopg.connect(**_maintenance(), autocommit=True) as server:
        rows = server.execute(
            "SELECT datname FROM pg_database d WHERE starts_with(datname, %s)"
            " AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)",
            (prefix := f"antibody_{what}_",),
        )
        for (name,) in rows.fetchall():
            owner = name.removeprefix(prefix)
            if owner.isdigit() and not _is_running(int(owner)):
                with suppress(psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
                    server.execute(
                        sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
                    )


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def current() -> str:
    """The database that this process's default connection goes to: the bench's, or that of a test."""
    return str(connection.settings_dict["NAME"])


def dsn(*, owner: bool = False, name: str = NAME) -> dict[str, Any]:
    """psycopg.connect's arguments for the app's login, or the owner's."""
    login: dict[str, Any] = settings.DATABASES["default"]
    if owner:
        login = login["OWNER"]
    found = {
        "host": login["HOST"],
        "port": login["PORT"],
        "user": login["USER"],
        "password": login["PASSWORD"],
        "dbname": name,
        # Django's own options (pool, server_side_binding) stand beside libpq's.
        **{key: value for key, value in login["OPTIONS"].items() if key in _LIBPQ},
    }
    return {key: str(value) for key, value in found.items() if value}


def url(*, owner: bool = False) -> str:
    """The same as an address, which holds a socket's folder in its query."""
    parts = dsn(owner=owner)
    user, password, name = parts.pop("user"), parts.pop("password", ""), parts.pop("dbname")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"postgresql://{login}@/{name}?{urlencode(parts)}"


@contextmanager
def made(name: str = NAME, *, is_durable: bool = True) -> Iterator[None]:
    """Make and migrate a database, send the default connection there, and drop it at the end.

    One that is not durable commits without waiting for the disk: for what nobody would look at after a crash.
    """
    _drop(name)
    with psycopg.connect(**_maintenance(), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        if not is_durable:
            server.execute(
                sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(
                    sql.Identifier(name)
                )
            )
    before = connection.settings_dict["NAME"]
    connection.close()
    use(name)
    try:
        with as_owner():
            call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        connection.close()
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = before
        _drop(name)


def _drop(name: str) -> None:
    """Drop the database as soon as the last session has left; the owner may not throw out the app's."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    latest = time.monotonic() + LEAVING_SECONDS
    with psycopg.connect(**_maintenance(), autocommit=True) as server:
        while True:
            try:
                server.execute(drop)
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > latest:
                    raise
                time.sleep(0.2)
            else:
                return


def _maintenance() -> dict[str, Any]:
    """The owner may create databases; it logs in at the product's own, which is there."""
    product: str = settings.DATABASES["default"]["NAME"]
    return dsn(owner=True, name=product)

"""The database of the bench: one of its own on the product's server, made anew for each run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
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


def use() -> None:
    """Send this process's default connection to the bench's database. Before the first query."""
    settings.DATABASES["default"]["NAME"] = NAME
    connection.settings_dict["NAME"] = NAME


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
def made() -> Iterator[None]:
    """Make and migrate the database, send the default connection there, and drop it at the end."""
    _drop()
    with psycopg.connect(**_maintenance(), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    before = connection.settings_dict["NAME"]
    connection.close()
    use()
    try:
        with as_owner():
            call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        connection.close()
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = before
        _drop()


def _drop() -> None:
    """Drop the database as soon as the last session has left; the owner may not throw out the app's."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(NAME))
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

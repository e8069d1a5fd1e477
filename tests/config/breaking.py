"""A database that may be broken for real: as its superuser, in a transaction that is never committed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, transaction

from config.database import admin_dsn


@contextmanager
def superuser() -> Iterator[None]:
    """Let this thread's connection be an administrator's, in a transaction; whatever is done in it is undone."""
    login = admin_dsn(os.environ, settings.DATA_DIR)
    if login is None:
        pytest.skip("DATABASE_URL names no administrator")
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = {
        **before,
        "USER": login["user"],
        "PASSWORD": login.get("password", ""),
        "OPTIONS": {name: value for name, value in before["OPTIONS"].items() if name != "pool"},
    }
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        connection.close()
        connection.settings_dict = before


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def become(login: str) -> None:
    """From here on this connection has the rights of that login, as if it had logged in."""
    execute(f"SET LOCAL SESSION AUTHORIZATION {login}")


def become_superuser() -> None:
    execute("RESET SESSION AUTHORIZATION")

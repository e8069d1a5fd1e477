"""How a check asks the database."""

from __future__ import annotations

from typing import Any

from django.db import connection


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Every row of the answer."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def row(sql: str, *params: Any) -> tuple[Any, ...]:
    """The one row of the answer."""
    [found] = rows(sql, *params)
    return found


def some(names: list[str], most: int = 3) -> str:
    """The first few of what was found, and how many there are besides."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

"""Reading a whole ledger: row by row from a cursor in the server, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection


def rows(sql: str, params: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, as they come; inside a transaction."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        yield from cursor

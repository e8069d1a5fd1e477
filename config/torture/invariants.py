"""Asking the database whether what must be true is true."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

INVARIANTS = Path(__file__).with_name("invariants.sql")
# A database that was killed answers again within a second or two on a busy machine.
PATIENCE_SECONDS = 30.0

NEVER = frozenset({"lost", "duplicated", "broken", "dead"})
UNFINISHED = "unfinished"
LATE = "late"
UNCLAIMED = "unclaimed"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One thing that is not as it was promised."""

    promise: str
    rule: str
    id: str


def violations(dsn: Mapping[str, Any], acknowledged: Sequence[tuple[str, str]]) -> list[Violation]:
    """Everything that is not so at this moment, also what only counts in the end (unfinished, late, unclaimed).

    ``acknowledged`` must have been read before this call. Waits for a database that is just starting;
    raises psycopg.OperationalError when it stays away.
    """
    with connected(dsn) as connection, connection.cursor() as cursor:
        return ask(cursor, acknowledged)


def ask(cursor: psycopg.Cursor[Any], acknowledged: Sequence[tuple[str, str]]) -> list[Violation]:
    """``violations`` in a transaction that is open already, of the rows that it can see."""
    cursor.execute("CREATE TEMPORARY TABLE acknowledged (kind text, id text) ON COMMIT DROP")
    with cursor.copy("COPY acknowledged FROM STDIN") as copy:
        for pair in acknowledged:
            copy.write_row(pair)
    cursor.execute("ANALYZE acknowledged")
    cursor.execute(_statement())
    return sorted(Violation(*row) for row in cursor.fetchall())


def connected(dsn: Mapping[str, Any]) -> psycopg.Connection[Any]:
    """A connection, as soon as the database takes one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return psycopg.connect(**dsn)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _statement() -> str:
    return INVARIANTS.read_text(encoding="utf-8")

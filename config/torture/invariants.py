"""Asking the database whether what must be true is true."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from .outside import Arrival

INVARIANTS = Path(__file__).with_name("invariants.sql")
# A database that was killed answers again within a second or two on a busy machine.
PATIENCE_SECONDS = 30.0

NEVER = frozenset({"lost", "duplicated", "broken", "dead"})
UNFINISHED = "unfinished"
LATE = "late"
UNCLAIMED = "unclaimed"
SURVIVED = "survived"
IN_THE_END = frozenset({UNFINISHED, LATE, UNCLAIMED, SURVIVED})

_ON_THEIR_WAY = """
SELECT t.id FROM governance_looptrace t JOIN incidents_incident i ON i.id = t.incident_id
 WHERE t.state = 'running' AND i.source <> 'poison'
"""

Acknowledged = Sequence[tuple[str, str]]  # (kind, id)


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One thing that is not as it was promised."""

    promise: str
    rule: str
    id: str


def on_their_way(dsn: Mapping[str, Any]) -> set[str]:
    """The ids of the loops that still run, without those that poison holds."""
    with connected(dsn) as connection:
        return {trace for (trace,) in connection.execute(_ON_THEIR_WAY)}


def violations(
    dsn: Mapping[str, Any], acknowledged: Acknowledged, arrived: Sequence[Arrival] = ()
) -> list[Violation]:
    """Everything that is not so at this moment, also what only counts in the end (``IN_THE_END``).

    What was ``acknowledged`` and what has ``arrived`` must have been read before this call. Waits for a database
    that is just starting; raises psycopg.OperationalError when it stays away.
    """
    with connected(dsn) as connection, connection.cursor() as cursor:
        return ask(cursor, acknowledged, arrived)


def ask(
    cursor: psycopg.Cursor[Any], acknowledged: Acknowledged, arrived: Sequence[Arrival] = ()
) -> list[Violation]:
    """``violations`` in a transaction that is open already, of the rows that it can see."""
    _load(cursor, "acknowledged (kind text, id text)", acknowledged)
    _load(
        cursor,
        "arrived (purpose text, key text, body text)",
        [(each.purpose, each.key, each.body) for each in arrived],
    )
    cursor.execute(_statement())
    return sorted(Violation(*row) for row in cursor.fetchall())


def _load(cursor: psycopg.Cursor[Any], table: str, rows: Sequence[tuple[str, ...]]) -> None:
    """A temporary table of these rows."""
    name = table.partition(" ")[0]
    cursor.execute(f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP")
    with cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(f"ANALYZE {name}")


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

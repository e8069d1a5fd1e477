"""Rival (a): psycopg by hand. Five claimed transactions for each incident, one incident at a time.

    claim a ready step (FOR UPDATE SKIP LOCKED) -> effect, event, entry -> step done, next step ready -> commit

Claim and finish are one transaction, so a worker that dies leaves nothing half done and no lease is needed.
Every statement is prepared. What it leaves out against the product: tenants, leases, switches, retries, waiting.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import psycopg

from .protocol import Counter, count_statements, send_dicts_as_json, serve
from .rows import STAGES, following, loop_name, rows_of

SCHEMA = "hand_written"
STEP_TABLE = """
CREATE TABLE step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, loop text NOT NULL, stage text NOT NULL,
    state text NOT NULL DEFAULT 'ready', finished_at timestamptz, UNIQUE (loop, stage))
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX step_ready ON step (id) WHERE state = 'ready';
"""

_CLAIM = """
    SELECT id, loop, stage FROM step WHERE state = 'ready' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_EFFECT = "INSERT INTO effect (id, loop, stage, details) VALUES (%(id)s, %(loop)s, %(stage)s, %(details)s)"
_EVENT = """
    INSERT INTO event (id, loop, stage, headline, details)
    VALUES (%(id)s, %(loop)s, %(stage)s, %(headline)s, %(details)s)
"""
_ENTRY = """
    INSERT INTO entry (id, loop, stage, body, hash) VALUES (%(id)s, %(loop)s, %(stage)s, %(body)s, %(hash)s)
"""
_DONE = "UPDATE step SET state = 'done', finished_at = clock_timestamp() WHERE id = %s"
_NEXT = "INSERT INTO step (loop, stage) VALUES (%s, %s)"

IDLE_SECONDS = 0.005


class HandWritten:
    """One worker."""

    def __init__(self, dsn: str, rows: int) -> None:
        self._rows = rows
        self._connection = psycopg.connect(
            dsn, options=f"-c search_path={SCHEMA}", prepare_threshold=0, autocommit=True
        )

    def queue(self, first: int, count: int) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_NEXT, [(loop_name(first + n), STAGES[0]) for n in range(count)])

    def work(self, leaving: threading.Event) -> None:
        with self._connection.cursor() as cursor:
            while not leaving.is_set():
                if not self._one_step(cursor):
                    leaving.wait(IDLE_SECONDS)

    def _one_step(self, cursor: psycopg.Cursor[Any]) -> bool:
        with self._connection.transaction():
            claimed = cursor.execute(_CLAIM).fetchone()
            if claimed is None:
                return False
            step_id, loop, stage = claimed
            self._write(cursor, loop, stage)
            cursor.execute(_DONE, (step_id,))
            if next_stage := following(stage):
                cursor.execute(_NEXT, (loop, next_stage))
        return True

    def _write(self, cursor: psycopg.Cursor[Any], loop: str, stage: str) -> None:
        rows = rows_of(loop, stage, self._rows)
        for statement, each in (
            (_EFFECT, rows.effects),
            (_EVENT, rows.events),
            (_ENTRY, rows.entries),
        ):
            for row in each:
                cursor.execute(statement, row)


if __name__ == "__main__":
    counter = Counter()
    count_statements(counter.add)
    send_dicts_as_json()
    serve(HandWritten(os.environ["BENCH_DSN"], int(os.environ["BENCH_ROWS"])), counter.value)

"""Signs of life: what runs beside the web says now and then that it does, in a row of its own.

A thread that ``lives_as`` something says so by ``alive()``, which the loop calls wherever it comes by: nearly always
that costs a look at the clock. Who does something long promises to be back later.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SWEEPER = "sweeper"
SCHEDULER = "beat"

# How often a process says that it lives, and how long it is believed.
EVERY_SECONDS = 5.0
PROMISED_SECONDS = 30.0
# Rows of processes that are gone are of no use to anybody after this.
FORGOTTEN_SECONDS = 3_600.0

_this_thread = threading.local()


@contextmanager
def lives_as(kind: str) -> Iterator[None]:
    """Everything that this thread does meanwhile is a sign that something of this kind lives."""
    _this_thread.kind, _this_thread.said_at = kind, float("-inf")
    try:
        yield
    finally:
        _this_thread.kind = None


def alive(busy_seconds: float = 0.0) -> None:
    """Say that this thread is at work, and (with ``busy_seconds``) that its next sign may take so much longer."""
    kind = getattr(_this_thread, "kind", None)
    now = time.monotonic()
    if kind is None or (not busy_seconds and now - _this_thread.said_at < EVERY_SECONDS):
        return
    is_first = _this_thread.said_at == float("-inf")
    note(kind, PROMISED_SECONDS + busy_seconds)
    # After something long the next sign is due at once: it takes the long promise back.
    _this_thread.said_at = now if not busy_seconds else now - EVERY_SECONDS
    if is_first:
        _forget_others()


def note(kind: str, seconds: float) -> None:
    """Write a sign of life that is good for so many seconds, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO governance_heartbeat AS known (kind, instance, seen_at, promised_until)
            VALUES (%s, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s))
            ON CONFLICT (kind, instance) DO UPDATE
               SET seen_at = excluded.seen_at, promised_until = excluded.promised_until
            """,
            (kind, f"{socket.gethostname()}:{os.getpid()}", seconds),
        )


def overdue(kind: str) -> float | None:
    """Seconds since the last promise of this kind ran out; negative while one holds, None where there never was one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - max(promised_until))::float8"
            " FROM governance_heartbeat WHERE kind = %s",
            (kind,),
        )
        row = cursor.fetchone()
    return None if row is None or row[0] is None else float(row[0])


def _forget_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM governance_heartbeat"
            " WHERE promised_until < clock_timestamp() - make_interval(secs => %s)",
            (FORGOTTEN_SECONDS,),
        )

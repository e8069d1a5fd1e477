"""Checks of the database itself: there, ours, up to date, and keeping what it was told."""

from __future__ import annotations

import time
from collections.abc import Set as AbstractSet
from functools import cache

from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from governance.database import deadline

from ..database import APP_LOGIN, OLDEST_MAJOR
from .asking import row, some

ANSWER_SECONDS = 2.0
CLOCK_SECONDS = 5.0
"""How far our clock may be from the database's: sessions, tokens and signatures of webhooks count on ours."""

Key = tuple[str, str]


def answers() -> str | None:
    try:
        with deadline.within(ANSWER_SECONDS), transaction.atomic():
            row("SELECT 1")
    except Exception:  # noqa: BLE001 - every way of not answering is one and the same here
        return "PostgreSQL gives no answer: see that it runs, and DATABASE_URL."
    return None


def version() -> str | None:
    (number,) = row("SELECT current_setting('server_version_num')::int")
    if number < OLDEST_MAJOR * 10_000:
        return f"PostgreSQL {OLDEST_MAJOR} or newer is needed, this is {number // 10_000}."
    return None


def role() -> str | None:
    """Logged in as the app, whom row-level security binds; what it owns and is a member of is asked with its rights."""
    (user,) = row("SELECT current_user::text")
    if user != APP_LOGIN:
        return f"Logged in as {user}: serve as {APP_LOGIN}, with ANTIBODY_LOGIN unset."
    (is_strong,) = row("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    if is_strong:
        return f"{APP_LOGIN} may pass row-level security: ALTER ROLE {APP_LOGIN} NOSUPERUSER NOBYPASSRLS."
    return None


def migrations() -> str | None:
    """All that this code has are applied, and none that it does not know."""
    applied = set(MigrationRecorder(connection).applied_migrations())
    known = _on_disk()
    pending = sorted(f"{app}.{name}" for app, name in _pending(known, applied))
    if pending:
        return f"Not applied: {some(pending)}. Run `manage.py migrate`."
    unknown = sorted(f"{app}.{name}" for app, name in applied - set(known))
    if unknown:
        return (
            f"Applied and unknown to this code: {some(unknown)}. Run the code that made them, or go"
            " back with the newer code's `manage.py migrate`."
        )
    return None


@cache
def _on_disk() -> dict[Key, frozenset[Key]]:
    """Every migration of this code, with those that it stands for."""
    found = MigrationLoader(None).disk_migrations
    return {
        key: frozenset((app, name) for app, name in each.replaces) for key, each in found.items()
    }


def _pending(known: dict[Key, frozenset[Key]], applied: AbstractSet[Key]) -> list[Key]:
    replaced = {key for key, others in known.items() for key in others if key in known}
    return [
        key
        for key, others in known.items()
        if key not in applied and key not in replaced and not (others and others <= applied)
    ]


def writable() -> str | None:
    """A standby, or a server that was told so, reads but keeps nothing."""
    (is_standby, is_read_only) = row(
        "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool"
    )
    if is_standby:
        return "The server is a standby, which cannot be written to: name the primary."
    if is_read_only:
        return "The server is read-only (default_transaction_read_only): nothing can be recorded."
    return None


def synchronous_commit() -> str | None:
    (value,) = row("SELECT current_setting('synchronous_commit')")
    if value == "off":
        return "synchronous_commit is off: what was acknowledged could be lost. Set it to on."
    return None


def fsync() -> str | None:
    (value,) = row("SELECT current_setting('fsync')")
    if value == "off":
        return "fsync is off: a power cut could ruin the database. Set it to on."
    return None


def clock() -> str | None:
    began = time.time()
    (theirs,) = row("SELECT extract(epoch FROM clock_timestamp())::float8")
    ended = time.time()
    # Whatever lies between asking and having the answer is nobody's error.
    apart = max(began - theirs, theirs - ended, 0.0)
    if apart > CLOCK_SECONDS:
        return (
            f"Our clock and the database's are {apart:.0f} s apart, and {CLOCK_SECONDS:.0f} s are"
            " allowed: let both machines keep their time by NTP."
        )
    return None

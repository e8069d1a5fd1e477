"""Tenant isolation in the database: what the models ask for is made there, and looked for ever after.

``ensure()`` runs after every migration as the owner and does only what is missing; ``missing()`` asks the database
itself, at start and as long as the product runs.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from . import unwanted
from .fields import AppendOnly
from .wanted import (
    APP_LOGIN,
    OWNER_LOGIN,
    PRESENT,
    SYSTEM_ROLE,
    Rule,
    tenant_models,
    wanted,
)

__all__ = [
    "APP_LOGIN",
    "OWNER_LOGIN",
    "SYSTEM_ROLE",
    "Rule",
    "ensure",
    "lacking",
    "missing",
    "tenant_models",
    "wanted",
]


def missing() -> list[Rule]:
    """What keeps the database from holding tenants apart: what it lacks, and what it has too much."""
    return [*lacking(), *unwanted.found()]


def lacking() -> list[Rule]:
    """What the models ask for and the database has not, or has otherwise than it should be."""
    with connection.cursor() as cursor:
        cursor.execute(PRESENT)
        present = set(cursor.fetchall())
    return [
        rule for rule in wanted() if (rule.kind, rule.table, rule.name, rule.told) not in present
    ]


def ensure(**_: Any) -> None:
    """Make what is lacking. Connected to post_migrate; does nothing for a login that owns no table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone()[0] == APP_LOGIN:
            return
    with transaction.atomic(), connection.cursor() as cursor:
        for rule in lacking():
            for statement in rule.sql:
                cursor.execute(statement)
        _grant(cursor)


def _grant(cursor: Any) -> None:
    """Default privileges are per database, so a test database has none: grant what is there now."""
    cursor.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_LOGIN}"
    )
    cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_LOGIN}")
    cursor.execute(f"REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {APP_LOGIN}")
    for model in tenant_models():
        if issubclass(model, AppendOnly):
            cursor.execute(f"REVOKE UPDATE, DELETE ON {model._meta.db_table} FROM {APP_LOGIN}")
        if model.written_by_functions:
            cursor.execute(f"REVOKE INSERT ON {model._meta.db_table} FROM {APP_LOGIN}")

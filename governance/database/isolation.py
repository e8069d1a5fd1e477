"""What the database itself must hold every tenant's table to, derived from the models.

Row-level security that binds the owner too, composite foreign keys, and triggers that keep evidence as it was
written. ``ensure()`` runs after every migration as the owner and does only what is missing; ``missing()`` is
the same question asked at start. Nobody has to remember any of it when a model is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from .fields import AppendOnly, TenantForeignKey, TenantModel

APP_LOGIN = "antibody_app"
OWNER_LOGIN = "antibody_owner"
SYSTEM_ROLE = "antibody_system"

# Text and not uuid: after a transaction the setting is '' and a cast would raise.
_TENANT = "(SELECT current_setting('app.tenant', true))"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing the database must have: the name that says it is there, and the statements that make it so."""

    kind: str
    table: str
    name: str
    sql: tuple[str, ...]


def tenant_models() -> list[type[TenantModel]]:
    """Every concrete model whose rows belong to a tenant."""
    return [model for model in apps.get_models() if issubclass(model, TenantModel)]


def wanted() -> Iterator[Rule]:
    """Every rule that the models ask for; keys before the foreign keys that point at them."""
    for model in tenant_models():
        yield from _row_security(model)
        yield from _tenant_key(model)
        if issubclass(model, AppendOnly):
            yield from _append_only(model)
    for model in tenant_models():
        for field in model._meta.local_fields:
            if isinstance(field, TenantForeignKey):
                yield from _foreign_key(model, field)


def missing() -> list[Rule]:
    """What the models ask for and the database has not."""
    present = _present()
    return [rule for rule in wanted() if (rule.kind, rule.table, rule.name) not in present]


def ensure(**_: Any) -> None:
    """Make what is missing. Connected to post_migrate; does nothing for a login that owns no table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone()[0] == APP_LOGIN:
            return
    with transaction.atomic(), connection.cursor() as cursor:
        for rule in missing():
            for statement in rule.sql:
                cursor.execute(statement)
        _grant(cursor)


def _row_security(model: type[models.Model]) -> Iterator[Rule]:
    table = model._meta.db_table
    yield Rule(
        "rls",
        table,
        "forced",
        (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        ),
    )
    yield Rule(
        "policy",
        table,
        "tenant_rows",
        (f"CREATE POLICY tenant_rows ON {table} USING (tenant_id = {_TENANT})",),
    )


def _tenant_key(model: type[models.Model]) -> Iterator[Rule]:
    table = model._meta.db_table
    name = f"{table}_tenant_id_key"
    yield Rule(
        "constraint",
        table,
        name,
        (f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE (tenant_id, id)",),
    )


def _foreign_key(model: type[models.Model], field: TenantForeignKey) -> Iterator[Rule]:
    table, column = model._meta.db_table, field.column
    target = field.related_model._meta.db_table
    name = f"{table}_{column}_fk"
    # FORCE would hide rows from the check and let an orphan through (measured): lift it while the key is added.
    lift = tuple(f"ALTER TABLE {each} NO FORCE ROW LEVEL SECURITY" for each in {table, target})
    restore = tuple(f"ALTER TABLE {each} FORCE ROW LEVEL SECURITY" for each in {table, target})
    yield Rule(
        "constraint",
        table,
        name,
        (
            *lift,
            (
                f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column})"
                f" REFERENCES {target} (tenant_id, id)"
            ),
            *restore,
        ),
    )
    if not _has_index(model, field):
        index = f"{table}_{column}_ix"
        yield Rule(
            "index", table, index, (f"CREATE INDEX {index} ON {table} (tenant_id, {column})",)
        )


def _has_index(model: type[models.Model], field: TenantForeignKey) -> bool:
    """Whether a whole index or unique key of the model already begins with (tenant, field)."""
    start = ["tenant", field.name]
    indexes = [index.fields for index in model._meta.indexes if not index.condition]
    keys = [
        list(key.fields)
        for key in model._meta.constraints
        if isinstance(key, models.UniqueConstraint) and not key.condition
    ]
    return any(list(fields)[:2] == start for fields in [*indexes, *keys])


def _append_only(model: type[models.Model]) -> Iterator[Rule]:
    table = model._meta.db_table
    # For each statement: refuses even where row-level security would show no row. ALWAYS: also for a
    # superuser in replica mode.
    yield Rule(
        "trigger",
        table,
        "append_only",
        (
            (
                f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION antibody_refuse_change()"
            ),
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only",
        ),
    )


def _present() -> set[tuple[str, str, str]]:
    query = """
        SELECT 'rls', c.relname, 'forced' FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND c.relforcerowsecurity
        UNION ALL SELECT 'policy', c.relname, p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        UNION ALL SELECT 'constraint', c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
         WHERE k.convalidated
        UNION ALL SELECT 'index', tablename, indexname FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger', c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE t.tgenabled = 'A'
    """
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {(kind, table, name) for kind, table, name in cursor.fetchall()}


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

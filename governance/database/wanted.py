"""What the database must have for every tenant's table, derived from the models.

Row-level security that binds the owner too, composite foreign keys, and triggers that keep evidence as it was
written. Nobody has to remember any of it when a model is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models

from .fields import AppendOnly, TenantForeignKey, TenantModel

APP_LOGIN = "antibody_app"
OWNER_LOGIN = "antibody_owner"
SYSTEM_ROLE = "antibody_system"

# Text and not uuid: after a transaction the setting is '' and a cast would raise.
_TENANT = "(SELECT current_setting('app.tenant', true))"
# As the server tells it: for every command and every role, the same for what is read and what is written.
_TENANT_ROWS = (
    "((tenant_id)::text = ( SELECT current_setting('app.tenant'::text, true) AS current_setting))"
)
_NO_CHANGE = "before update, delete, truncate of a statement: antibody_refuse_change"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing the database must have: what and where it is, and the statements that make it so.

    ``told`` is how the catalog describes it when it is right; empty where the name alone says it. A rule without
    statements is something that must not be there: it is told, never repaired.
    """

    kind: str
    table: str
    name: str
    sql: tuple[str, ...] = ()
    told: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}" if self.table else f"{self.kind} {self.name}"


def tenant_models() -> list[type[TenantModel]]:
    """Every concrete model whose rows belong to a tenant."""
    return [model for model in apps.get_models() if issubclass(model, TenantModel)]


def wanted() -> Iterator[Rule]:
    """Every rule that the models ask for; keys before the foreign keys that point at them."""
    keys = [
        (model, field)
        for model in tenant_models()
        for field in model._meta.local_fields
        if isinstance(field, TenantForeignKey)
    ]
    pointed_at = {field.related_model for _, field in keys}
    for model in tenant_models():
        yield from _row_security(model)
        # What nothing points at and nobody lists by id goes without: rows of the hot path pay for every index.
        if model in pointed_at or _is_listed_by_id(model):
            yield _tenant_key(model)
        if issubclass(model, AppendOnly):
            yield _append_only(model)
    for model, field in keys:
        yield from _foreign_key(model, field)


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
        (
            f"DROP POLICY IF EXISTS tenant_rows ON {table}",
            f"CREATE POLICY tenant_rows ON {table} USING (tenant_id = {_TENANT})",
        ),
        told=_TENANT_ROWS,
    )


def _is_listed_by_id(model: type[models.Model]) -> bool:
    """Whether its pages go by id: one tenant's rows must then be found without reading those of the others."""
    return next(iter(model._meta.ordering or ()), "") in ("id", "-id")


def _tenant_key(model: type[models.Model]) -> Rule:
    table = model._meta.db_table
    name = f"{table}_tenant_id_key"
    return Rule(
        "constraint",
        table,
        name,
        (
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}",
            f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE (tenant_id, id)",
        ),
        told="UNIQUE (tenant_id, id)",
    )


def _foreign_key(model: type[models.Model], field: TenantForeignKey) -> Iterator[Rule]:
    table, column = model._meta.db_table, field.column
    target = field.related_model._meta.db_table
    name = f"{table}_{column}_fk"
    key = f"FOREIGN KEY (tenant_id, {column}) REFERENCES {target}(tenant_id, id)"
    # FORCE would hide rows from the check and let an orphan through (measured): lift it while the key is added.
    lift = tuple(f"ALTER TABLE {each} NO FORCE ROW LEVEL SECURITY" for each in {table, target})
    restore = tuple(f"ALTER TABLE {each} FORCE ROW LEVEL SECURITY" for each in {table, target})
    yield Rule(
        "constraint",
        table,
        name,
        (
            *lift,
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}",
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {key}",
            *restore,
        ),
        told=key,
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


def _append_only(model: type[models.Model]) -> Rule:
    table = model._meta.db_table
    # For each statement: refuses even where row-level security would show no row. ALWAYS: also for a
    # superuser in replica mode.
    return Rule(
        "trigger",
        table,
        "append_only",
        (
            f"DROP TRIGGER IF EXISTS append_only ON {table}",
            (
                f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION antibody_refuse_change()"
            ),
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only",
        ),
        told=_NO_CHANGE,
    )


# What is there, told as the rules above tell it. Names are of the schema public, where all our tables are.
PRESENT = f"""
    SELECT 'rls', c.relname, 'forced', '' FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND c.relforcerowsecurity
    UNION ALL
    SELECT 'policy', c.relname, p.polname, pg_get_expr(p.polqual, p.polrelid)
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
     WHERE c.relnamespace = 'public'::regnamespace AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{{0}}'
       AND (p.polwithcheck IS NULL OR pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))
    UNION ALL
    SELECT 'constraint', c.relname, k.conname, pg_get_constraintdef(k.oid)
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
     WHERE c.relnamespace = 'public'::regnamespace AND k.convalidated AND k.contype IN ('u', 'f')
    UNION ALL
    SELECT 'index', c.relname, i.relname, ''
      FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
     WHERE c.relnamespace = 'public'::regnamespace AND x.indisvalid
    UNION ALL
    SELECT 'trigger', c.relname, t.tgname, '{_NO_CHANGE}'
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc f ON f.oid = t.tgfoid
     WHERE c.relnamespace = 'public'::regnamespace AND t.tgenabled = 'A'
       -- 58 = BEFORE (2) DELETE (8) UPDATE (16) TRUNCATE (32), for each statement
       AND t.tgtype = 58 AND t.tgqual IS NULL AND f.proname = 'antibody_refuse_change'
"""  # noqa: S608 - a constant of this file

"""Checks that the database itself keeps tenants apart and evidence as it was written, whatever we send it.

What is asked is one question, ``isolation.missing()``; its answers are told under the name of what they break.
"""

from __future__ import annotations

from django.apps import apps

from governance.database import isolation

from .asking import rows, some

MEND = "Run `manage.py migrate`, which makes what is missing, and find out who changed it."
UNDO = "Undo it as the owner, and find out who did it."


def row_security() -> str | None:
    """Forced on every tenant's table, by exactly our policy and no other."""
    wrong = _wrong("rls")
    return f"Rows of tenants may not be kept apart: {wrong}. {MEND}" if wrong else None


def composite_keys() -> str | None:
    wrong = _wrong("composite_keys")
    return f"A record could point into another tenant: {wrong}. {MEND}" if wrong else None


def triggers() -> str | None:
    """What is evidence refuses to be changed, also by a superuser in replica mode."""
    wrong = _wrong("triggers")
    return f"Evidence could be changed: {wrong}. {MEND}" if wrong else None


def functions() -> str | None:
    """What looks across tenants is there, is ours, and runs as a role that nobody can be."""
    wrong = _wrong("functions")
    return f"What looks across tenants is not as it was made: {wrong}. {UNDO}" if wrong else None


def rights() -> str | None:
    """The app's login has no right, and owns nothing, that would let it lift what holds it."""
    wrong = _wrong("rights")
    return f"The database allows more than it must: {wrong}. {UNDO}" if wrong else None


def grants() -> str | None:
    """The app may read and add to every table of ours: a migration that broke off may have left some closed."""
    models = apps.get_models(include_auto_created=True)
    adds = {
        model._meta.db_table: not getattr(model, "written_by_functions", False) for model in models
    }
    closed = rows(
        """
        SELECT c.relname::text FROM pg_class c JOIN unnest(%s::text[], %s::bool[]) AS ours(name, adds) ON name = relname
         WHERE c.relnamespace = 'public'::regnamespace
           AND NOT (has_table_privilege(c.oid, 'SELECT') AND (has_table_privilege(c.oid, 'INSERT') OR NOT adds))
         ORDER BY 1
        """,
        list(adds),
        list(adds.values()),
    )
    names = some([name for (name,) in closed])
    return f"Closed to {isolation.APP_LOGIN}: {names}. Run `manage.py migrate`." if closed else None


def indexes() -> str | None:
    wrong = _wrong("indexes")
    return f"Slow without it: {wrong}. {MEND}" if wrong else None


def _wrong(name: str) -> str:
    return some([str(rule) for rule in isolation.missing() if _check_of(rule.kind) == name])


def _check_of(kind: str) -> str:
    """The name under which a kind of finding is told; whatever is not known better is about rights."""
    if kind in _NAMES:
        return _NAMES[kind]
    return "functions" if "function" in kind and "app owns" not in kind else "rights"


_NAMES = {
    "rls": "rls",
    "policy": "rls",
    "unexpected policy": "rls",
    "unknown table": "rls",
    "view without security_invoker": "rls",
    "constraint": "composite_keys",
    "trigger": "triggers",
    "index": "indexes",
}

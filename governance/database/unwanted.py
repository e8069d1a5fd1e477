"""What the database must not have: whatever would let the app see or change more than the models ask for.

Found by asking the catalog, from every process and by whatever login; told by name, never repaired, because it may be
somebody's on purpose and is then a decision to be written down here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection

from .fields import AppendOnly
from .wanted import APP_LOGIN, OWNER_LOGIN, SYSTEM_ROLE, Rule, tenant_models

# Functions that look across tenants, and why each may. They belong to a role that cannot log in.
DEFINER_FUNCTIONS = {
    "antibody_bypasses_to_tend": "the sweeper finds bypasses that are over or wait; answers the ids of tenants",
    "antibody_claim_steps": "a worker takes whatever is ready, whoever's it is; answers what the claim needs",
    "antibody_erase_payload": "an admin's erasure, in the tenant in scope only: nothing else may delete evidence",
    "antibody_expired_steps": "the sweeper finds what was abandoned; answers the ids of tenant and step",
    "antibody_ledgers_to_sign": "the notary finds trees that grew; answers their sizes and how long they wait",
    "antibody_next_due": "the sweeper sleeps until something is due; answers seconds",
    "antibody_policy_sets": "readiness compiles what changed; answers tenants and the numbers of their sets",
    "antibody_number_entries": "entries of all tenants get their places in their own trees; answers how many",
    "antibody_unnumbered_seconds": "readiness asks how long an entry has been waiting; answers seconds",
    "antibody_token": "a token says which tenant to enter; answers the one token of a hash",
}
# Tables of PostgreSQL's users that no model describes.
OTHER_TABLES = {"django_migrations"}
# Nothing of ours is outside: what a later name finds there is not ours.
SEARCH_PATH = "search_path=public, pg_temp"


def found() -> list[Rule]:
    """Everything that must not be, most dangerous first."""
    with connection.cursor() as cursor:
        return [
            rule
            for ask in (_roles, _policies, _tables, _owned, _functions, _rights)
            for rule in ask(cursor)
        ]


def _ask(cursor: Any, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    names = {"app": APP_LOGIN, "owner": OWNER_LOGIN, "system": SYSTEM_ROLE}
    cursor.execute(sql, {**names, **params})
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _roles(cursor: Any) -> Iterator[Rule]:
    """Roles that row-level security would not hold, and what the app could become."""
    sql = """
        SELECT 'role that passes row-level security', rolname FROM pg_roles
         WHERE rolname IN (%(app)s, %(owner)s, %(system)s) AND (rolsuper OR rolbypassrls)
        UNION ALL
        SELECT 'app is a member of', other.rolname FROM pg_roles app JOIN pg_roles other ON other.oid <> app.oid
         WHERE app.rolname = %(app)s AND NOT app.rolsuper AND pg_has_role(app.oid, other.oid, 'MEMBER')
        UNION ALL
        SELECT 'role that can log in', rolname FROM pg_roles WHERE rolname = %(system)s AND rolcanlogin
    """
    for kind, name in _ask(cursor, sql):
        yield Rule(kind, "", name)


def _policies(cursor: Any) -> Iterator[Rule]:
    """Permissive policies beside the tenant's own; those of the system role are for its functions."""
    sql = """
        SELECT c.relname, p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
         WHERE c.relnamespace = 'public'::regnamespace AND p.polpermissive AND p.polname <> 'tenant_rows'
           AND p.polroles <> ARRAY(SELECT oid FROM pg_roles WHERE rolname = %(system)s)
         ORDER BY 1, 2
    """
    for table, name in _ask(cursor, sql):
        yield Rule("unexpected policy", table, name)


def _tables(cursor: Any) -> Iterator[Rule]:
    """Tables that no model describes, and views that show rows with their owner's rights."""
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    sql = """
        SELECT CASE WHEN c.relkind = 'v' THEN 'view without security_invoker' ELSE 'unknown table' END, c.relname
          FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace
           AND (c.relkind IN ('r', 'p', 'm', 'f') AND c.relname <> ALL(%(known)s)
                OR c.relkind = 'v' AND NOT coalesce(c.reloptions, '{}')
                   && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'])
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
         ORDER BY 1, 2
    """
    for kind, name in _ask(cursor, sql, known=sorted(known | OTHER_TABLES)):
        yield Rule(kind, "", name)


def _owned(cursor: Any) -> Iterator[Rule]:
    """Whatever the app owns, it can take row-level security from."""
    sql = """
        SELECT 'relation', relname::text FROM pg_class WHERE pg_get_userbyid(relowner) = %(app)s
           AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%%')
        UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE pg_get_userbyid(proowner) = %(app)s
        UNION ALL SELECT 'schema', nspname::text FROM pg_namespace
                   WHERE pg_get_userbyid(nspowner) = %(app)s AND nspname NOT LIKE 'pg\\_%%'
        UNION ALL SELECT 'database', datname::text FROM pg_database
                   WHERE datname = current_database() AND pg_get_userbyid(datdba) = %(app)s
        ORDER BY 1, 2
    """
    for kind, name in _ask(cursor, sql):
        yield Rule(f"app owns the {kind}", "", name)


def _functions(cursor: Any) -> Iterator[Rule]:
    """Functions that run with their owner's rights: only those that are listed, and bound as they must be."""
    sql = """
        SELECT f.proname, pg_get_userbyid(f.proowner) = %(system)s AND n.nspname = 'public',
               f.proconfig = ARRAY[%(path)s], has_function_privilege(%(app)s, f.oid, 'EXECUTE'),
               ARRAY(SELECT coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
                       FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
                      WHERE a.grantee NOT IN (SELECT oid FROM pg_roles
                                               WHERE rolname IN (%(app)s, %(owner)s, %(system)s)))
          FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
         WHERE f.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = f.oid AND d.deptype = 'e')
         ORDER BY 1
    """
    seen: list[str] = []
    for name, is_systems, has_path, is_ours, others in _ask(cursor, sql, path=SEARCH_PATH):
        if name not in DEFINER_FUNCTIONS or name in seen:
            yield Rule("unknown definer function", "", name)
        if not is_systems:
            yield Rule("definer function of the wrong owner", "", name)
        if not has_path:
            yield Rule("definer function without its search_path", "", name)
        if not is_ours:
            yield Rule("definer function that the app may not execute", "", name)
        for other in others:
            yield Rule(f"definer function that {other} may execute", "", name)
        seen.append(name)
    for name in sorted(DEFINER_FUNCTIONS.keys() - set(seen)):
        yield Rule("missing function", "", name)


def _rights(cursor: Any) -> Iterator[Rule]:
    """Grants to the app, and to everybody, beyond reading and writing rows; evidence may only be added."""
    evidence = [model._meta.db_table for model in tenant_models() if issubclass(model, AppendOnly)]
    sql = """
        WITH granted AS (
            SELECT c.relname, a.grantee, a.privilege_type, c.relkind
              FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.relnamespace = 'public'::regnamespace
            UNION ALL
            SELECT c.relname, a.grantee, a.privilege_type, c.relkind
              FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
             WHERE c.relnamespace = 'public'::regnamespace)
        SELECT DISTINCT relname, CASE grantee WHEN 0 THEN 'everybody' ELSE 'app' END, lower(privilege_type)
          FROM granted
         WHERE grantee = 0
            OR grantee = (SELECT oid FROM pg_roles WHERE rolname = %(app)s)
               AND (relkind <> 'S' AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                    OR relname = ANY(%(evidence)s) AND privilege_type IN ('UPDATE', 'DELETE'))
        UNION ALL
        SELECT nspname, 'app', 'create' FROM pg_namespace
         WHERE nspname = 'public' AND EXISTS (SELECT FROM pg_roles WHERE rolname = %(app)s
                                                 AND has_schema_privilege(oid, 'public', 'CREATE') AND NOT rolsuper)
         ORDER BY 1, 2, 3
    """
    for table, who, right in _ask(cursor, sql, evidence=evidence):
        yield Rule(f"right of {who} to {right}", "", table)

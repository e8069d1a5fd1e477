"""The database itself is asked whether it keeps tenants apart: each way to stop it from doing so is found and named."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from governance.database import isolation

from .logins import without_row_security

TRIGGER = "governance_ledgerentry"
CLAIM = "antibody_claim_steps(integer, double precision, text, boolean)"

# What somebody may do, and how it is told.
TAMPERINGS = {
    "row-level security is off": (
        "ALTER TABLE governance_agent DISABLE ROW LEVEL SECURITY",
        "rls governance_agent.forced",
    ),
    "the owner is not held": (
        "ALTER TABLE governance_agent NO FORCE ROW LEVEL SECURITY",
        "rls governance_agent.forced",
    ),
    "the policy is gone": (
        "DROP POLICY tenant_rows ON governance_agent",
        "policy governance_agent.tenant_rows",
    ),
    "the policy shows everything": (
        "ALTER POLICY tenant_rows ON governance_agent USING (true)",
        "policy governance_agent.tenant_rows",
    ),
    "the policy shows a little more": (
        (
            "ALTER POLICY tenant_rows ON governance_agent USING"
            " (tenant_id = (SELECT current_setting('app.tenant', true)) OR stopped)"
        ),
        "policy governance_agent.tenant_rows",
    ),
    "the policy lets everything be written": (
        "ALTER POLICY tenant_rows ON governance_agent WITH CHECK (true)",
        "policy governance_agent.tenant_rows",
    ),
    "the policy is for some roles only": (
        "ALTER POLICY tenant_rows ON governance_agent TO antibody_app",
        "policy governance_agent.tenant_rows",
    ),
    "a second policy widens the first": (
        "CREATE POLICY support ON governance_agent FOR SELECT TO antibody_app USING (true)",
        "unexpected policy governance_agent.support",
    ),
    "a second policy is for everybody": (
        "CREATE POLICY support ON governance_agent USING (name LIKE 'a%')",
        "unexpected policy governance_agent.support",
    ),
    "a foreign key is gone": (
        "ALTER TABLE governance_run DROP CONSTRAINT governance_run_agent_id_fk",
        "constraint governance_run.governance_run_agent_id_fk",
    ),
    "a foreign key may cross tenants": (
        (
            "ALTER TABLE governance_run DROP CONSTRAINT governance_run_agent_id_fk;"
            "ALTER TABLE governance_run ADD CONSTRAINT governance_run_agent_id_fk"
            " FOREIGN KEY (agent_id) REFERENCES governance_agent (id)"
        ),
        "constraint governance_run.governance_run_agent_id_fk",
    ),
    "a foreign key was never checked": (
        (
            "ALTER TABLE governance_run DROP CONSTRAINT governance_run_agent_id_fk;"
            "ALTER TABLE governance_run ADD CONSTRAINT governance_run_agent_id_fk FOREIGN KEY"
            " (tenant_id, agent_id) REFERENCES governance_agent (tenant_id, id) NOT VALID"
        ),
        "constraint governance_run.governance_run_agent_id_fk",
    ),
    "evidence is no longer guarded": (
        f"ALTER TABLE {TRIGGER} DISABLE TRIGGER append_only",
        f"trigger {TRIGGER}.append_only",
    ),
    "evidence is guarded from the app only": (
        f"ALTER TABLE {TRIGGER} ENABLE TRIGGER append_only",
        f"trigger {TRIGGER}.append_only",
    ),
    "evidence may be emptied": (
        (
            f"DROP TRIGGER append_only ON {TRIGGER};"
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {TRIGGER}"
            " FOR EACH STATEMENT EXECUTE FUNCTION antibody_refuse_change();"
            f"ALTER TABLE {TRIGGER} ENABLE ALWAYS TRIGGER append_only"
        ),
        f"trigger {TRIGGER}.append_only",
    ),
    "a view shows rows with its owner's rights": (
        "CREATE VIEW every_agent AS SELECT * FROM governance_agent",
        "view without security_invoker every_agent",
    ),
    "a copy of rows has no policy": (
        "CREATE TABLE agents_of_all AS SELECT * FROM governance_agent",
        "unknown table agents_of_all",
    ),
    "a materialized view has no policy": (
        "CREATE MATERIALIZED VIEW agents_of_all AS SELECT * FROM governance_agent",
        "unknown table agents_of_all",
    ),
    "a function shows every tenant": (
        (
            "CREATE FUNCTION agents() RETURNS bigint SECURITY DEFINER LANGUAGE sql"
            " SET search_path = public, pg_temp AS 'SELECT count(*) FROM governance_agent';"
            "ALTER FUNCTION agents() OWNER TO antibody_system;"
            "REVOKE ALL ON FUNCTION agents() FROM PUBLIC"
        ),
        "unknown definer function agents",
    ),
    "a known function has a stronger brother": (
        (
            "CREATE FUNCTION antibody_token() RETURNS bigint SECURITY DEFINER LANGUAGE sql"
            " SET search_path = public, pg_temp AS 'SELECT count(*) FROM governance_apitoken';"
            "ALTER FUNCTION antibody_token() OWNER TO antibody_system;"
            "REVOKE ALL ON FUNCTION antibody_token() FROM PUBLIC"
        ),
        "unknown definer function antibody_token",
    ),
    "a function is found by whatever path": (
        f"ALTER FUNCTION {CLAIM} RESET search_path",
        "definer function without its search_path antibody_claim_steps",
    ),
    "a function looks at the caller's tables first": (
        f"ALTER FUNCTION {CLAIM} SET search_path = pg_temp, public",
        "definer function without its search_path antibody_claim_steps",
    ),
    "a function has a stronger owner": (
        f"ALTER FUNCTION {CLAIM} OWNER TO CURRENT_USER",
        "definer function of the wrong owner antibody_claim_steps",
    ),
    "everybody may execute a function": (
        f"GRANT EXECUTE ON FUNCTION {CLAIM} TO PUBLIC",
        "definer function that public may execute antibody_claim_steps",
    ),
    "a function is gone": (
        f"DROP FUNCTION {CLAIM}",
        "missing function antibody_claim_steps",
    ),
    "the app owns a table": (
        "ALTER TABLE governance_agent OWNER TO antibody_app",
        "app owns the relation governance_agent",
    ),
    "the app may empty a table": (
        "GRANT TRUNCATE ON governance_agent TO antibody_app",
        "right of app to truncate governance_agent",
    ),
    "the app may rewrite evidence": (
        f"GRANT UPDATE ON {TRIGGER} TO antibody_app",
        f"right of app to update {TRIGGER}",
    ),
    "the app may rewrite a column of evidence": (
        f"GRANT UPDATE (kind) ON {TRIGGER} TO antibody_app",
        f"right of app to update {TRIGGER}",
    ),
    "everybody may read a table": (
        "GRANT SELECT ON governance_agent TO PUBLIC",
        "right of everybody to select governance_agent",
    ),
    "the app may make tables": (
        "GRANT CREATE ON SCHEMA public TO antibody_app",
        "right of app to create public",
    ),
    "the app could become the owner": (
        "GRANT antibody_owner TO antibody_app",
        "app is a member of antibody_owner",
    ),
    "the app passes row-level security": (
        "ALTER ROLE antibody_app BYPASSRLS",
        "role that passes row-level security antibody_app",
    ),
    "the system role may log in": (
        "ALTER ROLE antibody_system LOGIN",
        "role that can log in antibody_system",
    ),
}


@pytest.mark.django_db(transaction=True)
def test_every_way_to_weaken_it_is_found_and_named(subtests: pytest.Subtests) -> None:
    with without_row_security():
        assert isolation.missing() == []
        for name, (statements, told) in TAMPERINGS.items():
            with subtests.test(name), transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(statements, None)
                assert told in {str(rule) for rule in isolation.missing()}
                transaction.set_rollback(True)
        assert isolation.missing() == []


@pytest.mark.django_db(transaction=True)
def test_a_migration_repairs_what_the_models_ask_for() -> None:
    with without_row_security(), transaction.atomic():
        for statements, told in TAMPERINGS.values():
            if told.split()[0] in {"rls", "policy", "constraint", "trigger"}:
                with connection.cursor() as cursor:
                    cursor.execute(statements.replace("DROP POLICY", "DROP POLICY IF EXISTS"), None)
                assert isolation.lacking()
                isolation.ensure()
                assert isolation.lacking() == [], told
        transaction.set_rollback(True)

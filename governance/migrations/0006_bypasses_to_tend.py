from django.db import migrations

# Which tenants have a bypass that waits for the ledger or is over: the sweeper asks across tenants, and is told no more.
FUNCTION = """
CREATE POLICY every_tenant ON governance_bypass FOR SELECT TO antibody_system USING (true);
GRANT SELECT ON governance_bypass TO antibody_system;

CREATE FUNCTION antibody_bypasses_to_tend() RETURNS TABLE (tenant_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.tenant_id FROM governance_bypass b
     WHERE b.state IN ('requested', 'confirmed', 'active')
       AND (b.state = 'confirmed' OR CASE b.state WHEN 'requested' THEN b.expires_at ELSE b.ends_at END <= statement_timestamp())
$$;

GRANT CREATE ON SCHEMA public TO antibody_system;
ALTER FUNCTION antibody_bypasses_to_tend() OWNER TO antibody_system;
REVOKE CREATE ON SCHEMA public FROM antibody_system;
REVOKE ALL ON FUNCTION antibody_bypasses_to_tend() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION antibody_bypasses_to_tend() TO antibody_app, antibody_owner;
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0005_ledger_tree")]
    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION antibody_bypasses_to_tend()")]

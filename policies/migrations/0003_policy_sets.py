from django.db import migrations

# The check that every policy in force compiles looks at all tenants, but only at whose set has changed.
FUNCTION = """
CREATE POLICY every_tenant ON policies_policyset FOR SELECT TO antibody_system USING (true);
GRANT SELECT ON policies_policyset TO antibody_system;

CREATE FUNCTION antibody_policy_sets() RETURNS TABLE (tenant_id text, revision bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id::text, s.revision FROM policies_policyset s
$$;

GRANT CREATE ON SCHEMA public TO antibody_system;
ALTER FUNCTION antibody_policy_sets() OWNER TO antibody_system;
REVOKE CREATE ON SCHEMA public FROM antibody_system;
REVOKE ALL ON FUNCTION antibody_policy_sets() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION antibody_policy_sets() TO antibody_app, antibody_owner;
"""

UNDONE = """
DROP FUNCTION antibody_policy_sets();
DROP POLICY every_tenant ON policies_policyset;
REVOKE SELECT ON policies_policyset FROM antibody_system;
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0002_modes")]
    operations = [migrations.RunSQL(FUNCTION, UNDONE)]

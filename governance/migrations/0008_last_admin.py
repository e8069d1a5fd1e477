from django.db import migrations

# Also for statements that no verb wrote. The tenant's row is locked first: of two admins who lower each other at once,
# the second sees what the first did.
TRIGGER = """
CREATE FUNCTION antibody_keep_an_admin() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.role <> 'admin' OR (TG_OP = 'UPDATE' AND NEW.role = 'admin' AND NEW.tenant_id = OLD.tenant_id) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM governance_tenant t WHERE t.id = OLD.tenant_id FOR UPDATE;
    IF NOT EXISTS (SELECT FROM governance_membership m WHERE m.tenant_id = OLD.tenant_id AND m.role = 'admin') THEN
        RAISE EXCEPTION 'a tenant keeps one admin: % would have none', OLD.tenant_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_an_admin AFTER UPDATE OR DELETE ON governance_membership
    FOR EACH ROW EXECUTE FUNCTION antibody_keep_an_admin();
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0007_limits")]
    operations = [migrations.RunSQL(TRIGGER, "DROP FUNCTION antibody_keep_an_admin() CASCADE")]

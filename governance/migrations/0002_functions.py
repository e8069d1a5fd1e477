from django.db import migrations

# Row-level security shows a process only its tenant's rows. What must look across tenants (the queue's claim,
# the look-up of a token) is a function owned by a role that nobody can log in as, and it answers just that.
FUNCTIONS = """
CREATE POLICY every_tenant ON governance_loopstep TO antibody_system USING (true);
CREATE POLICY every_tenant ON governance_looptrace FOR SELECT TO antibody_system USING (true);
CREATE POLICY every_tenant ON governance_apitoken FOR SELECT TO antibody_system USING (true);
GRANT SELECT, UPDATE ON governance_loopstep TO antibody_system;
GRANT SELECT ON governance_looptrace, governance_apitoken TO antibody_system;

CREATE FUNCTION antibody_claim_steps(batch integer, lease double precision, token text, suspects boolean)
RETURNS TABLE (id text, tenant_id text, trace_id text, incident_id text, stage text, output jsonb, attempts integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF suspects THEN
        RETURN QUERY
        WITH picked AS (
            SELECT s.id FROM governance_loopstep s
             WHERE s.state = 'ready' AND s.attempts > 0 AND s.available_at <= now()
             ORDER BY s.available_at LIMIT batch FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE governance_loopstep s
               SET state = 'running', claim_token = token, attempts = s.attempts + 1,
                   lease_until = clock_timestamp() + make_interval(secs => lease)
              FROM picked WHERE s.id = picked.id RETURNING s.*)
        SELECT c.id::text, c.tenant_id::text, c.trace_id::text, t.incident_id::text, c.stage::text, c.output,
               c.attempts::integer
          FROM claimed c JOIN governance_looptrace t ON t.id = c.trace_id AND t.tenant_id = c.tenant_id;
    ELSE
        RETURN QUERY
        WITH picked AS (
            SELECT s.id FROM governance_loopstep s
             WHERE s.state = 'ready' AND s.attempts = 0 AND s.available_at <= now()
             ORDER BY s.available_at LIMIT batch FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE governance_loopstep s
               SET state = 'running', claim_token = token, attempts = s.attempts + 1,
                   lease_until = clock_timestamp() + make_interval(secs => lease)
              FROM picked WHERE s.id = picked.id RETURNING s.*)
        SELECT c.id::text, c.tenant_id::text, c.trace_id::text, t.incident_id::text, c.stage::text, c.output,
               c.attempts::integer
          FROM claimed c JOIN governance_looptrace t ON t.id = c.trace_id AND t.tenant_id = c.tenant_id;
    END IF;
END $$;

CREATE FUNCTION antibody_expired_steps(batch integer) RETURNS TABLE (tenant_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id FROM governance_loopstep s
     WHERE s.state = 'running' AND s.lease_until < now() ORDER BY s.lease_until LIMIT batch
$$;

CREATE FUNCTION antibody_next_due() RETURNS double precision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT extract(epoch FROM least(
        (SELECT min(s.available_at) FROM governance_loopstep s WHERE s.state = 'ready' AND s.attempts = 0),
        (SELECT min(s.available_at) FROM governance_loopstep s WHERE s.state = 'ready' AND s.attempts > 0),
        (SELECT min(s.lease_until) FROM governance_loopstep s WHERE s.state = 'running')
    ) - now())::double precision
$$;

CREATE FUNCTION antibody_token(wanted text)
RETURNS TABLE (id text, tenant_id text, account_id text, user_id bigint, name text, expires_at timestamptz,
               revoked_at timestamptz, last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.tenant_id, t.account_id, t.user_id, t.name, t.expires_at, t.revoked_at, t.last_used_at
      FROM governance_apitoken t WHERE t.hash = wanted
$$;

GRANT CREATE ON SCHEMA public TO antibody_system;
ALTER FUNCTION antibody_claim_steps(integer, double precision, text, boolean) OWNER TO antibody_system;
ALTER FUNCTION antibody_expired_steps(integer) OWNER TO antibody_system;
ALTER FUNCTION antibody_next_due() OWNER TO antibody_system;
ALTER FUNCTION antibody_token(text) OWNER TO antibody_system;
REVOKE CREATE ON SCHEMA public FROM antibody_system;
REVOKE ALL ON FUNCTION antibody_claim_steps(integer, double precision, text, boolean), antibody_expired_steps(integer),
    antibody_next_due(), antibody_token(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION antibody_claim_steps(integer, double precision, text, boolean),
    antibody_expired_steps(integer), antibody_next_due(), antibody_token(text) TO antibody_app, antibody_owner;
"""

REFUSE_CHANGE = """
CREATE FUNCTION antibody_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are evidence: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
"""

# A queue's rows change several times: leave room on the page for that, and clean up early.
STORAGE = """
ALTER TABLE governance_loopstep SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
                                     autovacuum_vacuum_threshold = 500);
ALTER TABLE governance_looptrace SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0001_initial")]
    operations = [
        migrations.RunSQL(REFUSE_CHANGE, "DROP FUNCTION antibody_refuse_change() CASCADE"),
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]

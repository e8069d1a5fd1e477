import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids
import governance.models.ledger

# A step carries the gesture that made it ready, so whoever claims it must be told.
CLAIM = """
DROP FUNCTION antibody_claim_steps(integer, double precision, text, boolean);
CREATE FUNCTION antibody_claim_steps(batch integer, lease double precision, token text, suspects boolean)
RETURNS TABLE (id text, tenant_id text, trace_id text, incident_id text, stage text, output jsonb, attempts integer,
               gesture text)
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
               c.attempts::integer, c.gesture::text
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
               c.attempts::integer, c.gesture::text
          FROM claimed c JOIN governance_looptrace t ON t.id = c.trace_id AND t.tenant_id = c.tenant_id;
    END IF;
END $$;
"""

# Entries are numbered after they were committed, for all tenants at once, one process at a time. Every committed
# entry without a leaf is found, however late: below the floor every transaction had ended when a look began, and that
# look numbered what it saw. The floor belongs to one cluster: in another (after a restore, an upgrade) transactions
# have other numbers, so everything is looked at once. What is stored may then have numbers that the new cluster has
# not reached; they are beyond the ceiling, and were numbered by that look.
SEQUENCER = """
CREATE FUNCTION antibody_number_entries(batch integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    here text := (SELECT system_identifier::text FROM pg_control_system());
    bottom xid8;
    ceiling xid8;
    still_running xid8;
    numbered integer;
    last_one xid8;
    is_whole boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('antibody numbers the ledger', 0));
    -- Before the look below and not by its snapshot: a little too low is safe.
    SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s) INTO still_running, ceiling FROM pg_current_snapshot() AS s;
    SELECT m.floor INTO bottom FROM governance_ledgermark m WHERE m.cluster = here AND m.floor <= ceiling;
    is_whole := bottom IS NULL;
    IF is_whole THEN
        bottom := '0';
        ceiling := '18446744073709551615';
    END IF;
    WITH fresh AS (
        SELECT e.tenant_id, e.id, e.xid, e.body FROM governance_ledgerentry e
         WHERE e.xid >= bottom AND e.xid < ceiling
           AND NOT EXISTS (SELECT FROM governance_ledgerleaf l WHERE l.id = e.id)
         ORDER BY e.xid, e.id LIMIT batch
    ), sizes AS (
        SELECT t.tenant_id,
               coalesce((SELECT max(l.seq) + 1 FROM governance_ledgerleaf l WHERE l.tenant_id = t.tenant_id), 0) AS size
          FROM (SELECT DISTINCT f.tenant_id FROM fresh f) t
    ), added AS (
        INSERT INTO governance_ledgerleaf (tenant_id, id, seq, xid, hash)
        SELECT f.tenant_id, f.id, s.size + row_number() OVER (PARTITION BY f.tenant_id ORDER BY f.xid, f.id) - 1,
               f.xid, sha256('\\x00'::bytea || f.body)
          FROM fresh f JOIN sizes s ON s.tenant_id = f.tenant_id
        RETURNING xid)
    SELECT count(*), (SELECT a.xid FROM added a ORDER BY a.xid DESC LIMIT 1) INTO numbered, last_one FROM added;
    IF numbered = batch THEN
        IF is_whole THEN
            RETURN numbered;  -- and the next call looks at everything again
        END IF;
        still_running := least(still_running, last_one);
    END IF;
    IF numbered > 0 OR is_whole THEN
        INSERT INTO governance_ledgermark (id, cluster, floor) VALUES (1, here, still_running)
            ON CONFLICT (id) DO UPDATE SET cluster = excluded.cluster, floor = excluded.floor;
    END IF;
    RETURN numbered;
END $$;

CREATE FUNCTION antibody_ledgers_to_sign()
RETURNS TABLE (tenant_id text, size bigint, signed bigint, waiting_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, tree.size, note.size,
           extract(epoch FROM clock_timestamp() -
                   (SELECT e.created_at FROM governance_ledgerleaf l JOIN governance_ledgerentry e ON e.id = l.id
                     WHERE l.tenant_id = t.id AND l.seq = note.size))::double precision
      FROM governance_tenant t
     CROSS JOIN LATERAL (SELECT coalesce(max(l.seq) + 1, 0) AS size
                           FROM governance_ledgerleaf l WHERE l.tenant_id = t.id) tree
     CROSS JOIN LATERAL (SELECT coalesce(max(n.size), 0) AS size
                           FROM governance_ledgernote n WHERE n.tenant_id = t.id) note
     WHERE tree.size > note.size
$$;

CREATE FUNCTION antibody_unnumbered_seconds() RETURNS double precision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT extract(epoch FROM clock_timestamp() - min(e.created_at))::double precision
      FROM governance_ledgerentry e
     WHERE e.xid >= coalesce((SELECT m.floor FROM governance_ledgermark m), '0')
       AND NOT EXISTS (SELECT FROM governance_ledgerleaf l WHERE l.id = e.id)
$$;

CREATE FUNCTION antibody_erase_payload(entry text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    erased integer;
BEGIN
    DELETE FROM governance_ledgerpayload p
     WHERE p.id = entry AND p.tenant_id = current_setting('app.tenant', true);
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

CREATE OR REPLACE FUNCTION antibody_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- The one erasure there is: inside antibody_erase_payload() we are its owner, whom nobody can log in as.
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'governance_ledgerpayload' AND current_user = 'antibody_system' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'rows of % are evidence: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
"""

RIGHTS = """
CREATE POLICY every_tenant ON governance_ledgerentry FOR SELECT TO antibody_system USING (true);
CREATE POLICY every_tenant ON governance_ledgerleaf TO antibody_system USING (true);
CREATE POLICY every_tenant ON governance_ledgernote FOR SELECT TO antibody_system USING (true);
GRANT SELECT ON governance_ledgerentry, governance_ledgernote, governance_tenant TO antibody_system;
GRANT SELECT, INSERT ON governance_ledgerleaf TO antibody_system;
GRANT SELECT, INSERT, UPDATE ON governance_ledgermark TO antibody_system;
GRANT SELECT, DELETE ON governance_ledgerpayload TO antibody_system;

GRANT CREATE ON SCHEMA public TO antibody_system;
ALTER FUNCTION antibody_claim_steps(integer, double precision, text, boolean) OWNER TO antibody_system;
ALTER FUNCTION antibody_number_entries(integer) OWNER TO antibody_system;
ALTER FUNCTION antibody_ledgers_to_sign() OWNER TO antibody_system;
ALTER FUNCTION antibody_unnumbered_seconds() OWNER TO antibody_system;
ALTER FUNCTION antibody_erase_payload(text) OWNER TO antibody_system;
REVOKE CREATE ON SCHEMA public FROM antibody_system;
REVOKE ALL ON FUNCTION antibody_claim_steps(integer, double precision, text, boolean),
    antibody_number_entries(integer), antibody_ledgers_to_sign(), antibody_unnumbered_seconds(),
    antibody_erase_payload(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION antibody_claim_steps(integer, double precision, text, boolean),
    antibody_number_entries(integer), antibody_ledgers_to_sign(), antibody_unnumbered_seconds(),
    antibody_erase_payload(text)
    TO antibody_app, antibody_owner;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0004_readiness"),
    ]

    operations = [
        migrations.CreateModel(
            name="LedgerLeaf",
            fields=[
                (
                    "id",
                    governance.ids.IdField(
                        editable=False, max_length=40, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
                ("xid", governance.models.ledger.XidField(editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="LedgerMark",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("cluster", models.CharField(max_length=20)),
                ("floor", governance.models.ledger.XidField()),
            ],
        ),
        migrations.CreateModel(
            name="LedgerNode",
            fields=[
                (
                    "id",
                    governance.ids.IdField(
                        editable=False,
                        max_length=40,
                        prefix="lnd",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("place", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="LedgerNote",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    governance.ids.IdField(
                        editable=False,
                        max_length=40,
                        prefix="lnt",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("size", models.BigIntegerField()),
                ("root", models.BinaryField(max_length=32)),
                ("note", models.TextField()),
            ],
            options={
                "ordering": ["-size"],
            },
        ),
        migrations.CreateModel(
            name="LedgerPayload",
            fields=[
                (
                    "id",
                    governance.ids.IdField(
                        editable=False, max_length=40, primary_key=True, serialize=False
                    ),
                ),
                ("salt", models.BinaryField(max_length=32)),
                ("payload", models.BinaryField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="gesture",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="xid",
            field=governance.models.ledger.XidField(
                db_default=governance.models.ledger.CurrentXid(), editable=False
            ),
        ),
        migrations.AddField(
            model_name="loopevent",
            name="gesture",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="loopstep",
            name="gesture",
            field=models.CharField(
                blank=True, editable=False, help_text="What made it ready.", max_length=40
            ),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["tenant", "gesture"], name="ledger_gesture"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["xid"], name="ledger_xid"),
        ),
        migrations.AddIndex(
            model_name="loopevent",
            index=models.Index(fields=["tenant", "gesture"], name="event_gesture"),
        ),
        migrations.AddField(
            model_name="ledgerleaf",
            name="tenant",
            field=governance.database.fields.OwnerField(
                db_index=False,
                default=django.db.models.fields.NOT_PROVIDED,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.tenant",
            ),
        ),
        migrations.AddField(
            model_name="ledgernode",
            name="tenant",
            field=governance.database.fields.OwnerField(
                db_index=False,
                default=django.db.models.fields.NOT_PROVIDED,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.tenant",
            ),
        ),
        migrations.AddField(
            model_name="ledgernote",
            name="tenant",
            field=governance.database.fields.OwnerField(
                db_index=False,
                default=django.db.models.fields.NOT_PROVIDED,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.tenant",
            ),
        ),
        migrations.AddField(
            model_name="ledgerpayload",
            name="tenant",
            field=governance.database.fields.OwnerField(
                db_index=False,
                default=django.db.models.fields.NOT_PROVIDED,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerleaf",
            constraint=models.UniqueConstraint(fields=("tenant", "seq"), name="leaf_once"),
        ),
        migrations.AddConstraint(
            model_name="ledgernode",
            constraint=models.UniqueConstraint(
                fields=("tenant", "level", "place"), name="node_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgernote",
            constraint=models.UniqueConstraint(fields=("tenant", "size"), name="note_once"),
        ),
        migrations.RunSQL(CLAIM, migrations.RunSQL.noop),
        migrations.RunSQL(SEQUENCER, migrations.RunSQL.noop),
        migrations.RunSQL(RIGHTS, migrations.RunSQL.noop),
    ]

from django.db import migrations

# What counts as a prevention is the product's claim about itself, so it is checked where the claim is written. The rest
# of the contract is in constraints: the tenant by composite keys, the likeness by prevention_real_is_alike, once by
# prevention_once. Who sees a row whose transaction is still going on is in that transaction: that is how "in the
# decision's transaction" is asked, and it holds for savepoints too.
CONTRACT = """
CREATE FUNCTION antibody_is_of_this_transaction(made_by xid) RETURNS boolean LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    here bigint := pg_current_xact_id()::text::bigint;
    -- A row holds the low 32 bits of its transaction's number: the nearest number with these is meant.
    there bigint := (here >> 32 << 32) + made_by::text::bigint;
BEGIN
    there := there + CASE WHEN there - here > 1::bigint << 31 THEN -(1::bigint << 32)
                          WHEN here - there > 1::bigint << 31 THEN 1::bigint << 32 ELSE 0 END;
    RETURN there > 2 AND pg_xact_status(there::text::xid8) = 'in progress';
END
$$;

CREATE FUNCTION antibody_keep_prevention_contract() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.simulated THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (SELECT FROM policies_decision d
                    WHERE d.tenant_id = NEW.tenant_id AND d.id = NEW.decision_id AND NOT d.simulated
                      AND d.verdict NOT IN ('allow', 'warn') AND antibody_is_of_this_transaction(d.xmin)) THEN
        RAISE EXCEPTION 'a prevention is written with a real decision that denied the action, in its transaction'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'prevention_in_decision', TABLE = 'policies_prevention';
    END IF;
    IF NOT EXISTS (SELECT FROM policies_policy p
                    WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.policy_id AND p.state = 'active'
                      AND NOT p.simulated AND p.pattern_id = NEW.pattern_id) THEN
        RAISE EXCEPTION 'only an active policy, of the pattern that it remembers, prevents anything'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'prevention_by_active_policy',
                  TABLE = 'policies_prevention';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER prevention_contract BEFORE INSERT ON policies_prevention
    FOR EACH ROW EXECUTE FUNCTION antibody_keep_prevention_contract();
ALTER TABLE policies_prevention ENABLE ALWAYS TRIGGER prevention_contract;

CREATE FUNCTION antibody_refuse_outcome_of_denied() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM policies_decision d WHERE d.tenant_id = NEW.tenant_id AND d.id = NEW.decision_id
                                                 AND d.verdict NOT IN ('allow', 'warn')) THEN
        RAISE EXCEPTION 'what was denied has no outcome, and so no incident'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'outcome_of_allowed', TABLE = 'policies_outcome';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER outcome_of_allowed BEFORE INSERT ON policies_outcome
    FOR EACH ROW EXECUTE FUNCTION antibody_refuse_outcome_of_denied();
ALTER TABLE policies_outcome ENABLE ALWAYS TRIGGER outcome_of_allowed;
"""

UNDONE = """
DROP TRIGGER outcome_of_allowed ON policies_outcome;
DROP FUNCTION antibody_refuse_outcome_of_denied();
DROP TRIGGER prevention_contract ON policies_prevention;
DROP FUNCTION antibody_keep_prevention_contract();
DROP FUNCTION antibody_is_of_this_transaction(xid);
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0006_regret_by_two")]
    operations = [migrations.RunSQL(CONTRACT, UNDONE)]

from django.db import migrations

# Nothing points at them and nobody lists them by id (`wanted.py`): 16 index entries a loop for nothing.
TABLES = (
    "governance_apitoken",
    "governance_checkpoint",
    "governance_idempotentrequest",
    "governance_ledgerleaf",
    "governance_ledgernode",
    "governance_ledgernote",
    "governance_ledgerpayload",
    "governance_loopevent",
    "governance_loopstep",
    "governance_settings",
    "governance_switch",
    "policies_policyset",
    "policies_policyversion",
)


class Migration(migrations.Migration):
    dependencies = [("governance", "0008_last_admin")]

    operations = [
        migrations.AlterModelOptions(
            name="loopstep",
            options={"ordering": ["-trace_id", "id"]},
        ),
        migrations.RunSQL(
            [
                f"ALTER TABLE IF EXISTS {table} DROP CONSTRAINT IF EXISTS {table}_tenant_id_key"
                for table in TABLES
            ],
            # Whoever goes back has an `ensure()` that makes them again.
            migrations.RunSQL.noop,
        ),
    ]

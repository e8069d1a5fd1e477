from django.db import migrations, models

# The key's own index, which the new one begins like: a decision writes one of the two, not both.
WITHOUT = "DROP INDEX IF EXISTS policies_decision_run_id_ix"
AGAIN = "CREATE INDEX policies_decision_run_id_ix ON policies_decision (tenant_id, run_id)"


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0008_last_admin"),
        ("policies", "0003_policy_sets"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="call",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="A digest that equal arguments share; empty where it was decided before there was one.",
                max_length=32,
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["tenant", "run", "tool", "call"], name="decision_of_run"),
        ),
        migrations.RunSQL(WITHOUT, AGAIN),
        migrations.AlterField(
            model_name="policy",
            name="condition",
            field=models.TextField(
                help_text="CEL over action, arguments, agent, run, model, history and more: docs/conditions.md."
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0012_leaf_of_its_entry"),
    ]

    operations = [
        migrations.AlterField(
            model_name="loopstep",
            name="failure_state",
            field=models.CharField(
                blank=True,
                choices=[
                    ("match_failed", "Match Failed"),
                    ("match_low_confidence", "Match Low Confidence"),
                    ("match_silenced", "Match Silenced"),
                    ("recovery_rejected", "Recovery Rejected"),
                    ("recovery_needs_confirmation", "Recovery Needs Confirmation"),
                    ("policy_low_confidence", "Policy Low Confidence"),
                    ("policy_shadow_mode", "Policy Shadow Mode"),
                    ("policy_rejected", "Policy Rejected"),
                    ("routing_guardrail_blocked", "Routing Guardrail Blocked"),
                    ("routing_kpi_regression", "Routing Kpi Regression"),
                    ("human_checkpoint_pending", "Human Checkpoint Pending"),
                    ("human_checkpoint_rejected", "Human Checkpoint Rejected"),
                    ("switched_off", "Switched Off"),
                ],
                editable=False,
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="looptrace",
            name="failure_state",
            field=models.CharField(
                blank=True,
                choices=[
                    ("match_failed", "Match Failed"),
                    ("match_low_confidence", "Match Low Confidence"),
                    ("match_silenced", "Match Silenced"),
                    ("recovery_rejected", "Recovery Rejected"),
                    ("recovery_needs_confirmation", "Recovery Needs Confirmation"),
                    ("policy_low_confidence", "Policy Low Confidence"),
                    ("policy_shadow_mode", "Policy Shadow Mode"),
                    ("policy_rejected", "Policy Rejected"),
                    ("routing_guardrail_blocked", "Routing Guardrail Blocked"),
                    ("routing_kpi_regression", "Routing Kpi Regression"),
                    ("human_checkpoint_pending", "Human Checkpoint Pending"),
                    ("human_checkpoint_rejected", "Human Checkpoint Rejected"),
                    ("switched_off", "Switched Off"),
                ],
                editable=False,
                max_length=30,
            ),
        ),
    ]

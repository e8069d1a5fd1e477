import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("governance", "0002_functions"),
        ("incidents", "0001_initial"),
        ("policies", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Adjustment",
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
                        prefix="adj",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("capability", models.CharField(editable=False, max_length=200)),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("confidence_penalty", "Confidence Penalty"),
                            ("route_block", "Route Block"),
                            ("escalation_add", "Escalation Add"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("ended", "Ended"),
                            ("rolled_back", "Rolled Back"),
                            ("reverted", "Reverted"),
                        ],
                        default="open",
                        editable=False,
                        max_length=12,
                    ),
                ),
                (
                    "magnitude",
                    models.FloatField(
                        editable=False,
                        help_text="-1 to 1; at most 0.2 away from 0 for one adjustment.",
                    ),
                ),
                (
                    "kpi_baseline",
                    models.FloatField(
                        editable=False, help_text="Success rate when it was made.", null=True
                    ),
                ),
                ("started_at", models.DateTimeField(editable=False)),
                (
                    "ends_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When it is, or was, over: seven days after its start or earlier.",
                    ),
                ),
                (
                    "failure_state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("match_failed", "Match Failed"),
                            ("match_low_confidence", "Match Low Confidence"),
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
                ("reason", models.TextField(blank=True, editable=False)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjustments",
                        to="governance.agent",
                    ),
                ),
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjustments",
                        to="policies.policy",
                    ),
                ),
                (
                    "tenant",
                    governance.database.fields.OwnerField(
                        db_index=False,
                        default=django.db.models.fields.NOT_PROVIDED,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.tenant",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="AdjustmentEvidence",
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
                        prefix="ade",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("details", models.JSONField(default=dict)),
                (
                    "adjustment",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evidence",
                        to="routing.adjustment",
                    ),
                ),
                (
                    "incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="incidents.incident",
                    ),
                ),
                (
                    "tenant",
                    governance.database.fields.OwnerField(
                        db_index=False,
                        default=django.db.models.fields.NOT_PROVIDED,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "adjustment evidence",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Freeze",
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
                        prefix="frz",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "capability",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="Empty: the whole tenant.",
                        max_length=200,
                    ),
                ),
                ("until", models.DateTimeField(editable=False)),
                ("reason", models.TextField(editable=False)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.agent",
                    ),
                ),
                (
                    "tenant",
                    governance.database.fields.OwnerField(
                        db_index=False,
                        default=django.db.models.fields.NOT_PROVIDED,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.tenant",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="adjustment",
            index=models.Index(
                condition=models.Q(("state", "open")),
                fields=["tenant", "agent", "capability"],
                name="adjustment_weight",
            ),
        ),
        migrations.AddIndex(
            model_name="adjustment",
            index=models.Index(fields=["tenant", "started_at"], name="adjustment_started"),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("magnitude__gte", -1), ("magnitude__lte", 1)),
                name="adjustment_magnitude",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("tenant", "policy", "agent", "capability"),
                name="adjustment_open_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustmentevidence",
            constraint=models.UniqueConstraint(
                fields=("tenant", "adjustment", "incident"), name="adjustment_evidence_once"
            ),
        ),
        migrations.AddIndex(
            model_name="freeze",
            index=models.Index(fields=["tenant", "until"], name="freeze_until"),
        ),
    ]

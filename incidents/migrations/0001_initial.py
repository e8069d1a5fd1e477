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
    ]

    operations = [
        migrations.CreateModel(
            name="Incident",
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
                        prefix="inc",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("resolved", "Resolved"),
                        ],
                        default="open",
                        editable=False,
                        max_length=12,
                    ),
                ),
                ("error_type", models.CharField(editable=False, max_length=200)),
                ("message", models.TextField(editable=False)),
                ("tool", models.CharField(blank=True, editable=False, max_length=200)),
                ("arguments", models.JSONField(editable=False, null=True)),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("execution_failure", "Execution Failure"),
                            ("budget_exceeded", "Budget Exceeded"),
                            ("rate_limit", "Rate Limit"),
                            ("token_limit", "Token Limit"),
                            ("content_policy", "Content Policy"),
                            ("pii_detected", "Pii Detected"),
                            ("safety_violation", "Safety Violation"),
                            ("hallucination", "Hallucination"),
                            ("operational", "Operational"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("critical", "Critical"),
                        ],
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("context", models.JSONField(default=dict, editable=False)),
                ("source", models.CharField(editable=False, max_length=100)),
                ("source_key", models.CharField(editable=False, max_length=200, null=True)),
                ("simulated", models.BooleanField(default=False, editable=False)),
                (
                    "occurred_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="incidents",
                        to="governance.agent",
                    ),
                ),
                (
                    "run",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="incidents",
                        to="governance.run",
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
                "indexes": [
                    models.Index(fields=["tenant", "occurred_at"], name="incident_occurred")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("source_key__isnull", False)),
                        fields=("tenant", "source", "source_key"),
                        name="incident_source_once",
                    )
                ],
            },
        ),
    ]

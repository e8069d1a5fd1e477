import django.core.validators
import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("catalog", "0001_initial"),
        ("governance", "0002_functions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Directive",
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
                        prefix="drv",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "tool",
                    models.CharField(
                        blank=True, editable=False, help_text="Empty: every tool.", max_length=200
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry_policy", "Retry Policy"),
                            ("fallback", "Fallback"),
                            ("parameter_cap", "Parameter Cap"),
                            ("pre_check", "Pre Check"),
                            ("tool_disabled", "Tool Disabled"),
                            ("webhook", "Webhook"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("params", models.JSONField(default=dict, editable=False)),
                (
                    "params_digest",
                    models.CharField(
                        editable=False, help_text="Of tool, kind and parameters.", max_length=64
                    ),
                ),
                ("title", models.CharField(editable=False, max_length=300)),
                ("active", models.BooleanField(default=True, editable=False)),
                ("expires_at", models.DateTimeField(editable=False, null=True)),
                (
                    "approved_by",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="A person, or the loop where nobody was asked.",
                        max_length=80,
                    ),
                ),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="directives",
                        to="catalog.pattern",
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
            name="OutsideCall",
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
                        prefix="out",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("key", models.CharField(max_length=100)),
                ("purpose", models.CharField(max_length=40)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("answered_at", models.DateTimeField(null=True)),
                ("answer", models.JSONField(null=True)),
                ("error", models.TextField(blank=True)),
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
            name="RecoveryTemplate",
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
                        prefix="tpl",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry_policy", "Retry Policy"),
                            ("fallback", "Fallback"),
                            ("parameter_cap", "Parameter Cap"),
                            ("pre_check", "Pre Check"),
                            ("tool_disabled", "Tool Disabled"),
                            ("webhook", "Webhook"),
                        ],
                        max_length=20,
                    ),
                ),
                ("params", models.JSONField(default=dict)),
                (
                    "declared_confidence",
                    models.FloatField(
                        default=0.7,
                        help_text="0 to 0.95.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(0.95),
                        ],
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recovery_templates",
                        to="catalog.pattern",
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
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Recovery",
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
                        prefix="rec",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("suggested", "Suggested"),
                            ("approved", "Approved"),
                            ("applied", "Applied"),
                            ("rejected", "Rejected"),
                            ("failed", "Failed"),
                            ("rolled_back", "Rolled Back"),
                        ],
                        default="suggested",
                        editable=False,
                        max_length=12,
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("template", "Template"),
                            ("heuristic", "Heuristic"),
                            ("llm", "Llm"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry_policy", "Retry Policy"),
                            ("fallback", "Fallback"),
                            ("parameter_cap", "Parameter Cap"),
                            ("pre_check", "Pre Check"),
                            ("tool_disabled", "Tool Disabled"),
                            ("webhook", "Webhook"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("params", models.JSONField(default=dict, editable=False)),
                ("title", models.CharField(editable=False, max_length=300)),
                ("rationale", models.TextField(blank=True, editable=False)),
                ("confidence", models.FloatField(editable=False)),
                (
                    "automatic",
                    models.BooleanField(
                        default=False, editable=False, help_text="Applied without asking a person."
                    ),
                ),
                ("result", models.JSONField(default=dict, editable=False)),
                ("applied_at", models.DateTimeField(editable=False, null=True)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recoveries",
                        to="governance.agent",
                    ),
                ),
                (
                    "directive",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recoveries",
                        to="recovery.directive",
                    ),
                ),
                (
                    "match",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recoveries",
                        to="catalog.patternmatch",
                    ),
                ),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recoveries",
                        to="catalog.pattern",
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
                (
                    "template",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recoveries",
                        to="recovery.recoverytemplate",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "recoveries",
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="directive",
            index=models.Index(
                condition=models.Q(("active", True)),
                fields=["tenant", "tool"],
                name="directive_of_tool",
            ),
        ),
        migrations.AddConstraint(
            model_name="directive",
            constraint=models.UniqueConstraint(
                condition=models.Q(("active", True)),
                fields=("tenant", "pattern", "kind", "params_digest"),
                name="directive_active_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="outsidecall",
            constraint=models.UniqueConstraint(fields=("tenant", "key"), name="outside_call_once"),
        ),
        migrations.AddConstraint(
            model_name="recoverytemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("declared_confidence__gte", 0.0), ("declared_confidence__lte", 0.95)
                ),
                name="template_confidence",
            ),
        ),
        migrations.AddConstraint(
            model_name="recoverytemplate",
            constraint=models.UniqueConstraint(
                condition=models.Q(("enabled", True)),
                fields=("tenant", "pattern"),
                name="template_enabled_once",
            ),
        ),
        migrations.AddIndex(
            model_name="recovery",
            index=models.Index(
                fields=["tenant", "pattern", "agent", "created_at"], name="recovery_recurrence"
            ),
        ),
        migrations.AddIndex(
            model_name="recovery",
            index=models.Index(fields=["tenant", "template", "id"], name="recovery_of_template"),
        ),
        migrations.AddConstraint(
            model_name="recovery",
            constraint=models.UniqueConstraint(fields=("tenant", "match"), name="recovery_once"),
        ),
    ]

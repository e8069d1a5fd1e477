import django.core.validators
import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import governance.database.fields
import governance.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("catalog", "0001_initial"),
        ("governance", "0002_functions"),
        ("incidents", "0001_initial"),
        ("recovery", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Decision",
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
                        prefix="dec",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("step", models.BigIntegerField(null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("tool_call", "Tool Call"),
                            ("llm_call", "Llm Call"),
                            ("data_access", "Data Access"),
                            ("external_call", "External Call"),
                            ("agent_spawn", "Agent Spawn"),
                            ("command", "Command"),
                        ],
                        max_length=15,
                    ),
                ),
                ("tool", models.CharField(blank=True, max_length=200)),
                ("arguments", models.JSONField(default=dict)),
                ("context", models.JSONField(default=dict)),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("allow", "Allow"),
                            ("warn", "Warn"),
                            ("route_away", "Route Away"),
                            ("escalate", "Escalate"),
                            ("block", "Block"),
                            ("kill", "Kill"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "policies",
                    models.JSONField(
                        default=list, help_text="Of those that matched: id, version, action."
                    ),
                ),
                (
                    "would_block",
                    models.JSONField(
                        default=list,
                        help_text="Of shadow policies that would have: id and version.",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "policy_set",
                    models.BigIntegerField(
                        default=0, help_text="The revision it was decided under."
                    ),
                ),
                ("simulated", models.BooleanField(default=False)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to="governance.agent",
                    ),
                ),
                (
                    "run",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
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
            },
        ),
        migrations.CreateModel(
            name="Outcome",
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
                        prefix="otc",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tool", models.CharField(blank=True, max_length=200)),
                ("ok", models.BooleanField()),
                ("error_type", models.CharField(blank=True, max_length=200)),
                ("error_message", models.TextField(blank=True)),
                ("latency_ms", models.PositiveIntegerField(null=True)),
                ("cost_microusd", models.BigIntegerField(null=True)),
                ("simulated", models.BooleanField(default=False)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outcomes",
                        to="governance.agent",
                    ),
                ),
                (
                    "decision",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outcomes",
                        to="policies.decision",
                    ),
                ),
                (
                    "incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outcomes",
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
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Policy",
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
                        prefix="pol",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=300)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("shadow", "Shadow"),
                            ("pending", "Pending"),
                            ("active", "Active"),
                            ("suspended", "Suspended"),
                            ("retired", "Retired"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("safety", "Safety"),
                            ("privacy", "Privacy"),
                            ("operational", "Operational"),
                            ("routing", "Routing"),
                            ("custom", "Custom"),
                        ],
                        default="operational",
                        max_length=12,
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("block", "Block"),
                            ("warn", "Warn"),
                            ("escalate", "Escalate"),
                            ("route_away", "Route Away"),
                            ("kill", "Kill"),
                        ],
                        default="block",
                        max_length=10,
                    ),
                ),
                (
                    "scope_type",
                    models.CharField(
                        choices=[("agent", "Agent"), ("tenant", "Tenant"), ("global", "Global")],
                        default="tenant",
                        max_length=8,
                    ),
                ),
                (
                    "scope_id",
                    models.CharField(
                        blank=True,
                        help_text="The agent's name where the scope is an agent.",
                        max_length=200,
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("manual", "Manual"),
                            ("recovery", "Recovery"),
                            ("pattern", "Pattern"),
                        ],
                        default="manual",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "failure_mode",
                    models.CharField(
                        choices=[("fail_closed", "Fail Closed"), ("fail_open", "Fail Open")],
                        default="fail_closed",
                        max_length=12,
                    ),
                ),
                (
                    "tool",
                    models.CharField(
                        blank=True,
                        help_text="The one tool it is about; empty: every tool.",
                        max_length=200,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "condition",
                    models.TextField(
                        help_text="CEL over action, arguments, context, agent and run."
                    ),
                ),
                ("explanation", models.TextField(blank=True, editable=False)),
                ("confidence", models.FloatField(default=0.0, editable=False)),
                ("backtest", models.JSONField(default=dict, editable=False)),
                ("simulated", models.BooleanField(default=False, editable=False)),
                (
                    "reason",
                    models.TextField(
                        blank=True, editable=False, help_text="Why it last changed its state."
                    ),
                ),
                ("state_since", models.DateTimeField(auto_now_add=True)),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="catalog.pattern",
                    ),
                ),
                (
                    "recovery",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="recovery.recovery",
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
                    "trace",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.looptrace",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "policies",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Evidence",
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
                        prefix="evd",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("origin", "Origin"),
                            ("confirmation", "Confirmation"),
                            ("support", "Support"),
                            ("reviewer", "Reviewer"),
                        ],
                        max_length=12,
                    ),
                ),
                ("actor", models.CharField(max_length=80)),
                (
                    "withdraws",
                    models.BooleanField(
                        default=False,
                        help_text="Takes this incident's evidence back (a reverted loop).",
                    ),
                ),
                ("note", models.TextField(blank=True)),
                (
                    "incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evidence",
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
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evidence",
                        to="policies.policy",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "evidence",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="PolicySet",
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
                        prefix="pst",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("revision", models.BigIntegerField(default=1)),
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
        ),
        migrations.CreateModel(
            name="PolicyVersion",
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
                        prefix="pvr",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("condition", models.TextField()),
                ("explanation", models.TextField(blank=True)),
                ("backtest", models.JSONField(default=dict)),
                ("reason", models.CharField(max_length=300)),
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
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
                "ordering": ["-number"],
            },
        ),
        migrations.CreateModel(
            name="Prevention",
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
                        prefix="prv",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "similarity",
                    models.FloatField(help_text="Of the call to the calls of the pattern, 0 to 1."),
                ),
                ("simulated", models.BooleanField(default=False)),
                (
                    "decision",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preventions",
                        to="policies.decision",
                    ),
                ),
                (
                    "original_incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preventions",
                        to="incidents.incident",
                    ),
                ),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preventions",
                        to="catalog.pattern",
                    ),
                ),
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preventions",
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
            name="Regret",
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
                        prefix="rgt",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("false_rejection", "False Rejection"),
                            ("appeal_upheld", "Appeal Upheld"),
                            ("override", "Override"),
                            ("caused_incident", "Caused Incident"),
                            ("other", "Other"),
                        ],
                        default="other",
                        max_length=20,
                    ),
                ),
                (
                    "severity",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10),
                        ]
                    ),
                ),
                ("description", models.TextField(blank=True)),
                (
                    "reporter",
                    models.CharField(help_text="The principal that reported it.", max_length=80),
                ),
                ("simulated", models.BooleanField(default=False)),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="The agent that reports or was stopped.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="regrets",
                        to="governance.agent",
                    ),
                ),
                (
                    "decision",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="regrets",
                        to="policies.decision",
                    ),
                ),
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="regrets",
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
            name="TimelineView",
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
                        prefix="tlv",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("simulated", models.BooleanField(default=False)),
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
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="WouldBlock",
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
                        prefix="wbl",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                (
                    "result",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("confirmed", "Confirmed"),
                            ("false_rejection", "False Rejection"),
                            ("other_failure", "Other Failure"),
                        ],
                        default="open",
                        max_length=15,
                    ),
                ),
                ("simulated", models.BooleanField(default=False)),
                (
                    "decision",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="would_blocks",
                        to="policies.decision",
                    ),
                ),
                (
                    "policy",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="would_blocks",
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
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["tenant", "created_at"], name="decision_created"),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("verdict", "allow"), _negated=True),
                fields=["tenant", "verdict", "id"],
                name="decision_denied",
            ),
        ),
        migrations.AddIndex(
            model_name="outcome",
            index=models.Index(fields=["tenant", "tool", "ok", "id"], name="outcome_of_tool"),
        ),
        migrations.AddIndex(
            model_name="outcome",
            index=models.Index(fields=["tenant", "agent", "tool", "id"], name="outcome_of_agent"),
        ),
        migrations.AddConstraint(
            model_name="outcome",
            constraint=models.UniqueConstraint(fields=("tenant", "decision"), name="outcome_once"),
        ),
        migrations.AddIndex(
            model_name="policy",
            index=models.Index(
                condition=models.Q(("state__in", ["shadow", "pending", "active"])),
                fields=["tenant", "state"],
                name="policy_live",
            ),
        ),
        migrations.AddIndex(
            model_name="policy",
            index=models.Index(fields=["tenant", "pattern", "state"], name="policy_of_pattern"),
        ),
        migrations.AddConstraint(
            model_name="evidence",
            constraint=models.UniqueConstraint(
                condition=models.Q(("incident__isnull", False)),
                fields=("tenant", "policy", "version", "incident", "withdraws"),
                name="evidence_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="evidence",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "reviewer")),
                fields=("tenant", "policy", "version", "actor"),
                name="evidence_reviewer_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyset",
            constraint=models.UniqueConstraint(fields=("tenant",), name="policy_set_once"),
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.UniqueConstraint(
                fields=("tenant", "policy", "number"), name="policy_version_once"
            ),
        ),
        migrations.AddIndex(
            model_name="prevention",
            index=models.Index(fields=["tenant", "created_at"], name="prevention_created"),
        ),
        migrations.AddConstraint(
            model_name="prevention",
            constraint=models.UniqueConstraint(
                fields=("tenant", "policy", "decision"), name="prevention_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="prevention",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("simulated", True), ("decision__isnull", False), _connector="OR"
                ),
                name="prevention_real_has_decision",
            ),
        ),
        migrations.AddIndex(
            model_name="regret",
            index=models.Index(fields=["tenant", "policy", "created_at"], name="regret_of_policy"),
        ),
        migrations.AddIndex(
            model_name="regret",
            index=models.Index(fields=["tenant", "created_at"], name="regret_created"),
        ),
        migrations.AddConstraint(
            model_name="regret",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__gte", 1), ("severity__lte", 10)),
                name="regret_severity",
            ),
        ),
        migrations.AddIndex(
            model_name="wouldblock",
            index=models.Index(fields=["tenant", "decision"], name="would_block_decision"),
        ),
        migrations.AddIndex(
            model_name="wouldblock",
            index=models.Index(
                fields=["tenant", "policy", "version", "result"], name="would_block_result"
            ),
        ),
        migrations.AddConstraint(
            model_name="wouldblock",
            constraint=models.UniqueConstraint(
                fields=("tenant", "policy", "decision"), name="would_block_once"
            ),
        ),
    ]

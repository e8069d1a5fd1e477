import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.validators
import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import governance.database.fields
import governance.ids
import governance.models.story


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        # The order of events is the database's: its sequence comes before the table that uses it.
        migrations.RunSQL(
            "CREATE SEQUENCE governance_loopevent_seq", "DROP SEQUENCE governance_loopevent_seq"
        ),
        migrations.CreateModel(
            name="Account",
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
                        prefix="acc",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            name="GlobalSwitch",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("on", models.BooleanField(default=True)),
                ("reason", models.TextField(blank=True)),
            ],
            options={
                "verbose_name_plural": "global switches",
            },
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                (
                    "id",
                    governance.ids.IdField(
                        editable=False,
                        max_length=40,
                        prefix="ten",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                (
                    "first_name",
                    models.CharField(blank=True, max_length=150, verbose_name="first name"),
                ),
                (
                    "last_name",
                    models.CharField(blank=True, max_length=150, verbose_name="last name"),
                ),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="email address"),
                ),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="date joined"
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="LoopTrace",
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
                        prefix="trc",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("incident_id", models.CharField(editable=False, max_length=40)),
                ("generation", models.PositiveSmallIntegerField(default=1, editable=False)),
                ("headline", models.CharField(editable=False, max_length=300)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("waiting", "Waiting"),
                            ("complete", "Complete"),
                            ("stopped", "Stopped"),
                            ("dead", "Dead"),
                            ("reverted", "Reverted"),
                        ],
                        default="running",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("incident_created", "Incident Created"),
                            ("pattern_matched", "Pattern Matched"),
                            ("recovery_suggested", "Recovery Suggested"),
                            ("policy_generated", "Policy Generated"),
                            ("routing_adjusted", "Routing Adjusted"),
                            ("loop_complete", "Loop Complete"),
                        ],
                        default="incident_created",
                        editable=False,
                        max_length=20,
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
                (
                    "waited",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Whether it ever waited for somebody.",
                    ),
                ),
                ("simulated", models.BooleanField(default=False, editable=False)),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("ended_at", models.DateTimeField(editable=False, null=True)),
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
            name="LoopStep",
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
                        prefix="stp",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("incident_created", "Incident Created"),
                            ("pattern_matched", "Pattern Matched"),
                            ("recovery_suggested", "Recovery Suggested"),
                            ("policy_generated", "Policy Generated"),
                            ("routing_adjusted", "Routing Adjusted"),
                            ("loop_complete", "Loop Complete"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("ready", "Ready"),
                            ("running", "Running"),
                            ("waiting", "Waiting"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("dead", "Dead"),
                        ],
                        default="ready",
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("failures", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("max_attempts", models.PositiveSmallIntegerField(default=5, editable=False)),
                (
                    "available_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("claim_token", models.CharField(blank=True, editable=False, max_length=32)),
                (
                    "waits_for",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="The id of what lets it go on, or switch:<name>.",
                        max_length=60,
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
                ("error", models.TextField(blank=True, editable=False)),
                ("output", models.JSONField(default=dict, editable=False)),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                (
                    "trace",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="steps",
                        to="governance.looptrace",
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
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="LoopEvent",
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
                        prefix="evt",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "seq",
                    models.BigIntegerField(
                        db_default=governance.models.story.NextValue("governance_loopevent_seq"),
                        editable=False,
                    ),
                ),
                ("type", models.CharField(max_length=40)),
                ("stage", models.CharField(blank=True, max_length=20)),
                ("headline", models.CharField(max_length=300)),
                (
                    "subject",
                    models.CharField(
                        blank=True, help_text="The id of the record it tells of.", max_length=60
                    ),
                ),
                ("actor", models.CharField(max_length=80)),
                ("simulated", models.BooleanField(default=False)),
                ("details", models.JSONField(default=dict)),
                (
                    "trace",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="governance.looptrace",
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
                "ordering": ["seq"],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
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
                        prefix="led",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(max_length=60)),
                ("subject", models.CharField(max_length=60)),
                ("actor", models.CharField(max_length=80)),
                ("body", models.BinaryField()),
                ("hash", models.BinaryField(max_length=32)),
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
                "verbose_name_plural": "ledger entries",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
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
                        prefix="req",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("principal", models.CharField(max_length=80)),
                ("key", models.CharField(max_length=200)),
                (
                    "fingerprint",
                    models.CharField(help_text="SHA-256 of method, path and body.", max_length=64),
                ),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("answer", models.JSONField(null=True)),
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
            name="Checkpoint",
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
                        prefix="chk",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("approve_policy", "Approve Policy"),
                            ("approve_recovery", "Approve Recovery"),
                            ("simulate_routing", "Simulate Routing"),
                            ("revert_loop", "Revert Loop"),
                            ("override_guardrail", "Override Guardrail"),
                            ("appeal", "Appeal"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("approved", "Approved"),
                            ("rejected", "Rejected"),
                            ("expired", "Expired"),
                            ("void", "Void"),
                        ],
                        default="pending",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Critical"), (2, "High"), (3, "Normal"), (4, "Low")],
                        default=3,
                        editable=False,
                    ),
                ),
                ("blocking", models.BooleanField(default=True, editable=False)),
                (
                    "subject",
                    models.CharField(
                        editable=False,
                        help_text="The id of the record to decide about.",
                        max_length=60,
                    ),
                ),
                ("title", models.CharField(editable=False, max_length=300)),
                (
                    "shown",
                    models.JSONField(editable=False, help_text="Exactly what the person sees."),
                ),
                ("digest", models.CharField(editable=False, max_length=64)),
                ("requested_by", models.CharField(editable=False, max_length=80)),
                ("decided_by", models.CharField(blank=True, editable=False, max_length=80)),
                ("decided_at", models.DateTimeField(editable=False, null=True)),
                ("reason", models.TextField(blank=True, editable=False)),
                ("expires_at", models.DateTimeField(editable=False)),
                (
                    "trace",
                    governance.database.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="checkpoints",
                        to="governance.looptrace",
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
                "ordering": ["priority", "id"],
            },
        ),
        migrations.CreateModel(
            name="ApiToken",
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
                        prefix="tok",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "prefix",
                    models.CharField(
                        editable=False,
                        help_text="How to recognise it: its first characters.",
                        max_length=12,
                    ),
                ),
                ("hash", models.CharField(editable=False, max_length=64, unique=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("last_used_at", models.DateTimeField(editable=False, null=True)),
                (
                    "account",
                    governance.database.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tokens",
                        to="governance.account",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
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
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Agent",
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
                        prefix="agt",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "stopped",
                    models.BooleanField(
                        default=False, help_text="Every action of this agent gets kill."
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
        migrations.AddField(
            model_name="account",
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
        migrations.CreateModel(
            name="Switch",
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
                        prefix="swi",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="'loop' or the name of a stage.", max_length=40),
                ),
                ("on", models.BooleanField(default=True)),
                ("reason", models.TextField(blank=True)),
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
                "verbose_name_plural": "switches",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "name"), name="switch_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="Settings",
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
                        prefix="set",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "confirmations",
                    models.PositiveSmallIntegerField(
                        default=3,
                        help_text="Distinct incidents that confirm a shadow policy, its origin being the first.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "default_verdict",
                    models.CharField(
                        choices=[("allow", "Allow"), ("block", "Block")],
                        default="allow",
                        help_text="The guard's answer where no policy has anything to say.",
                        max_length=5,
                    ),
                ),
                (
                    "strict_agents",
                    models.BooleanField(
                        default=False,
                        help_text="Refuse agents that nobody registered, instead of knowing them from first sight.",
                    ),
                ),
                (
                    "automatic_activation",
                    models.BooleanField(
                        default=False,
                        help_text="Activate confirmed policies without a person, once graduation has unlocked it.",
                    ),
                ),
                (
                    "hallucination_may_block",
                    models.BooleanField(
                        default=False,
                        help_text="Let a probabilistic detector reach block by itself.",
                    ),
                ),
                (
                    "checkpoints_off",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Types of checkpoint that nobody is asked for: what they guard goes on.",
                    ),
                ),
                (
                    "checkpoints_advisory",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Types of checkpoint that are asked but do not hold the loop.",
                    ),
                ),
                (
                    "llm_recoveries",
                    models.BooleanField(
                        default=False, help_text="Let a language model suggest recoveries."
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
                "verbose_name_plural": "settings",
                "constraints": [models.UniqueConstraint(fields=("tenant",), name="settings_once")],
            },
        ),
        migrations.CreateModel(
            name="Run",
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
                        prefix="run",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("policy_set", models.CharField(blank=True, editable=False, max_length=64)),
                ("simulated", models.BooleanField(default=False)),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "agent",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
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
                "ordering": ["-started_at"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "agent", "name"), name="run_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("reviewer", "Reviewer"),
                            ("operator", "Operator"),
                            ("admin", "Admin"),
                        ],
                        default="viewer",
                        max_length=10,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="governance.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "tenant"), name="membership_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="looptrace",
            index=models.Index(fields=["tenant", "started_at"], name="trace_started"),
        ),
        migrations.AddConstraint(
            model_name="looptrace",
            constraint=models.UniqueConstraint(
                fields=("tenant", "incident_id", "generation"), name="trace_once"
            ),
        ),
        migrations.AddIndex(
            model_name="loopstep",
            index=models.Index(
                condition=models.Q(("attempts", 0), ("state", "ready")),
                fields=["available_at"],
                name="step_fresh",
            ),
        ),
        migrations.AddIndex(
            model_name="loopstep",
            index=models.Index(
                condition=models.Q(("attempts__gt", 0), ("state", "ready")),
                fields=["available_at"],
                name="step_suspect",
            ),
        ),
        migrations.AddIndex(
            model_name="loopstep",
            index=models.Index(
                condition=models.Q(("state", "running")), fields=["lease_until"], name="step_leased"
            ),
        ),
        migrations.AddIndex(
            model_name="loopstep",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["tenant", "waits_for"],
                name="step_waits",
            ),
        ),
        migrations.AddConstraint(
            model_name="loopstep",
            constraint=models.UniqueConstraint(
                fields=("tenant", "trace", "stage"), name="step_once"
            ),
        ),
        migrations.AddIndex(
            model_name="loopevent",
            index=models.Index(fields=["tenant", "trace", "seq"], name="event_of_trace"),
        ),
        migrations.AddIndex(
            model_name="loopevent",
            index=models.Index(fields=["tenant", "type", "created_at"], name="event_of_type"),
        ),
        migrations.AddIndex(
            model_name="loopevent",
            index=models.Index(fields=["tenant", "seq"], name="event_order"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["tenant", "subject"], name="ledger_subject"),
        ),
        migrations.AddConstraint(
            model_name="idempotentrequest",
            constraint=models.UniqueConstraint(
                fields=("tenant", "principal", "key"), name="request_once"
            ),
        ),
        migrations.AddIndex(
            model_name="checkpoint",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["tenant", "priority", "id"],
                name="checkpoint_queue",
            ),
        ),
        migrations.AddConstraint(
            model_name="checkpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "pending")),
                fields=("tenant", "type", "subject"),
                name="checkpoint_pending_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="checkpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by", ""),
                    models.Q(("decided_by", models.F("requested_by")), _negated=True),
                    _connector="OR",
                ),
                name="checkpoint_not_ones_own",
            ),
        ),
        migrations.AddConstraint(
            model_name="apitoken",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("account__isnull", True), ("user__isnull", False)),
                    models.Q(("account__isnull", False), ("user__isnull", True)),
                    _connector="OR",
                ),
                name="token_has_one_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="agent_name"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="account_name"),
        ),
    ]

import datetime as dt

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0002_functions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Bypass",
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
                        prefix="byp",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "Requested"),
                            ("confirmed", "Confirmed"),
                            ("active", "Active"),
                            ("ended", "Ended"),
                            ("withdrawn", "Withdrawn"),
                            ("expired", "Expired"),
                        ],
                        default="requested",
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "minutes",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(60),
                        ]
                    ),
                ),
                ("reason", models.TextField()),
                ("requested_by", models.CharField(editable=False, max_length=80)),
                (
                    "expires_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="A second person confirms it by then, or not at all.",
                    ),
                ),
                ("confirmed_by", models.CharField(blank=True, editable=False, max_length=80)),
                ("confirmed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "ends_at",
                    models.DateTimeField(
                        editable=False, help_text="Counted from when it was confirmed.", null=True
                    ),
                ),
                ("closed_by", models.CharField(blank=True, editable=False, max_length=80)),
                ("closed_at", models.DateTimeField(editable=False, null=True)),
                ("close_reason", models.TextField(blank=True, editable=False)),
            ],
            options={
                "verbose_name_plural": "bypasses",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ServerMode",
            fields=[
                (
                    "name",
                    models.CharField(
                        choices=[("degraded", "Degraded")],
                        max_length=20,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("on", models.BooleanField(default=True)),
                ("reason", models.TextField()),
                ("by", models.CharField(editable=False, max_length=80)),
                (
                    "since",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="agent",
            name="stopped_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="agent",
            name="stopped_by",
            field=models.CharField(blank=True, editable=False, max_length=80),
        ),
        migrations.AddField(
            model_name="agent",
            name="stopped_reason",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name="run",
            name="refused",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It asked to begin while no run might, and has not begun since.",
            ),
        ),
        migrations.AddField(
            model_name="settings",
            name="degraded",
            field=models.BooleanField(
                default=False, editable=False, help_text="No new runs; running ones are warned."
            ),
        ),
        migrations.AddField(
            model_name="settings",
            name="degraded_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="settings",
            name="degraded_by",
            field=models.CharField(blank=True, editable=False, max_length=80),
        ),
        migrations.AddField(
            model_name="settings",
            name="degraded_reason",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name="settings",
            name="stopped",
            field=models.BooleanField(default=False, help_text="Every action gets kill."),
        ),
        migrations.AddField(
            model_name="settings",
            name="stopped_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="settings",
            name="stopped_by",
            field=models.CharField(blank=True, editable=False, max_length=80),
        ),
        migrations.AddField(
            model_name="settings",
            name="stopped_reason",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AlterField(
            model_name="agent",
            name="stopped",
            field=models.BooleanField(default=False, help_text="Every action gets kill."),
        ),
        migrations.AddIndex(
            model_name="agent",
            index=models.Index(
                condition=models.Q(("stopped", True)),
                fields=["tenant", "name"],
                name="agent_stopped",
            ),
        ),
        migrations.AddField(
            model_name="bypass",
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
            model_name="bypass",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["requested", "confirmed", "active"])),
                fields=("tenant",),
                name="bypass_one_live",
            ),
        ),
        migrations.AddConstraint(
            model_name="bypass",
            constraint=models.CheckConstraint(
                condition=models.Q(("minutes__gte", 1), ("minutes__lte", 60)), name="bypass_minutes"
            ),
        ),
        migrations.AddConstraint(
            model_name="bypass",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("requested_by__startswith", "user:"),
                    models.Q(
                        ("confirmed_by", ""), ("confirmed_by__startswith", "user:"), _connector="OR"
                    ),
                    models.Q(("confirmed_by", models.F("requested_by")), _negated=True),
                ),
                name="bypass_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="bypass",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["requested", "withdrawn", "expired"]),
                    models.Q(
                        ("confirmed_at__isnull", False),
                        ("ends_at__isnull", False),
                        models.Q(("confirmed_by", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="bypass_confirmed_first",
            ),
        ),
        migrations.AddConstraint(
            model_name="bypass",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "expires_at__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("created_at"),
                            "+",
                            models.Value(dt.timedelta(seconds=900)),
                        ),
                    ),
                    models.Q(
                        ("confirmed_at__isnull", True),
                        ("confirmed_at__lte", models.F("expires_at")),
                        _connector="OR",
                    ),
                ),
                name="bypass_confirmed_in_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="bypass",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ends_at__isnull", True),
                    (
                        "ends_at__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("confirmed_at"),
                            "+",
                            models.Value(dt.timedelta(seconds=3600)),
                        ),
                    ),
                    _connector="OR",
                ),
                name="bypass_ends",
            ),
        ),
    ]

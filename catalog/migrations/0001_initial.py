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
    ]

    operations = [
        migrations.CreateModel(
            name="Pattern",
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
                        prefix="pat",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=300)),
                ("error_type", models.CharField(editable=False, max_length=200)),
                ("tool", models.CharField(blank=True, editable=False, max_length=200)),
                ("template", models.TextField(editable=False)),
                (
                    "signature",
                    models.CharField(
                        editable=False,
                        help_text="SHA-256 of the normalised failure.",
                        max_length=64,
                    ),
                ),
                ("signature_version", models.PositiveSmallIntegerField(editable=False)),
                ("strong_above", models.FloatField(default=0.85)),
                ("weak_from", models.FloatField(default=0.6)),
                (
                    "auto_apply_recovery",
                    models.BooleanField(
                        default=False,
                        help_text="A person trusts its recovery to be applied without asking, where it is sure enough.",
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
            name="PatternMatch",
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
                        prefix="mat",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("confidence", models.FloatField()),
                (
                    "band",
                    models.CharField(
                        choices=[("strong", "Strong"), ("weak", "Weak"), ("novel", "Novel")],
                        max_length=6,
                    ),
                ),
                (
                    "is_new",
                    models.BooleanField(
                        default=False, help_text="Whether this incident opened the pattern."
                    ),
                ),
                ("why", models.JSONField(default=dict)),
                (
                    "incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="matches",
                        to="incidents.incident",
                    ),
                ),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="matches",
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
                "verbose_name_plural": "pattern matches",
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="pattern",
            index=models.Index(fields=["tenant", "tool"], name="pattern_tool"),
        ),
        migrations.AddIndex(
            model_name="pattern",
            index=models.Index(fields=["tenant", "error_type", "id"], name="pattern_error_type"),
        ),
        migrations.AddConstraint(
            model_name="pattern",
            constraint=models.UniqueConstraint(fields=("tenant", "signature"), name="pattern_once"),
        ),
        migrations.AddIndex(
            model_name="patternmatch",
            index=models.Index(fields=["tenant", "pattern", "id"], name="match_of_pattern"),
        ),
        migrations.AddConstraint(
            model_name="patternmatch",
            constraint=models.UniqueConstraint(fields=("tenant", "incident"), name="match_once"),
        ),
    ]

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_signatures_and_keys"),
        ("governance", "0013_match_silenced"),
        ("incidents", "0002_repeats_and_aliases"),
    ]

    operations = [
        migrations.CreateModel(
            name="Teaching",
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
                        prefix="tch",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("merged", "Merged"),
                            ("split", "Split"),
                            ("moved", "Moved"),
                            ("renamed", "Renamed"),
                            ("silenced", "Silenced"),
                            ("heeded", "Heeded"),
                            ("undone", "Undone"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "facts",
                    models.JSONField(
                        default=dict, help_text="What it changed, so that it can be undone."
                    ),
                ),
                ("actor", models.CharField(max_length=80)),
                ("reason", models.CharField(blank=True, max_length=2000)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="patternmatch",
            name="match_once",
        ),
        migrations.AddField(
            model_name="pattern",
            name="members",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                db_default=[],
                default=list,
                editable=False,
                help_text="The patterns that were merged into it.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="pattern",
            name="root",
            field=governance.database.fields.TenantForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                help_text="The pattern that a person merged it into: failures like it are of that one.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="merged",
                to="catalog.pattern",
            ),
        ),
        migrations.AddField(
            model_name="pattern",
            name="silenced_as",
            field=models.CharField(
                blank=True,
                choices=[("expected", "Expected"), ("ignored", "Ignored")],
                db_default="",
                default="",
                editable=False,
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="pattern",
            name="silenced_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="pattern",
            name="silenced_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="patternmatch",
            name="corrects",
            field=governance.database.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The match in whose place it stands, because a person said so.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrections",
                to="catalog.patternmatch",
            ),
        ),
        migrations.AddField(
            model_name="patternsignature",
            name="base",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of a branch: the hash that it was told apart from.",
                max_length=64,
            ),
        ),
        migrations.AddField(
            model_name="patternsignature",
            name="is_forked",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Whether a person told failures signed so apart, by a word that the signature masks.",
            ),
        ),
        migrations.AddField(
            model_name="patternsignature",
            name="word",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of a branch: the word that its failures have and no other signed so.",
                max_length=100,
            ),
        ),
        migrations.AddIndex(
            model_name="patternsignature",
            index=models.Index(
                condition=models.Q(("base", ""), _negated=True),
                fields=["tenant", "base"],
                name="signature_branches",
            ),
        ),
        migrations.AddConstraint(
            model_name="patternmatch",
            constraint=models.UniqueConstraint(
                fields=("tenant", "incident", "corrects"), name="match_once", nulls_distinct=False
            ),
        ),
        migrations.AddField(
            model_name="teaching",
            name="other",
            field=governance.database.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The pattern that they were of before.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="catalog.pattern",
            ),
        ),
        migrations.AddField(
            model_name="teaching",
            name="pattern",
            field=governance.database.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The pattern that failures are of from then on.",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="teachings",
                to="catalog.pattern",
            ),
        ),
        migrations.AddField(
            model_name="teaching",
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
        migrations.AddField(
            model_name="teaching",
            name="undoes",
            field=governance.database.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="undone_by",
                to="catalog.teaching",
            ),
        ),
        migrations.AddIndex(
            model_name="teaching",
            index=models.Index(fields=["tenant", "pattern", "id"], name="teaching_of_pattern"),
        ),
        migrations.AddIndex(
            model_name="teaching",
            index=models.Index(fields=["tenant", "other", "id"], name="teaching_of_other"),
        ),
        migrations.AddConstraint(
            model_name="teaching",
            constraint=models.UniqueConstraint(
                fields=("tenant", "undoes"), name="teaching_undone_once"
            ),
        ),
    ]

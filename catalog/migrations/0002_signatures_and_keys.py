import django.db.models.deletion
import django.db.models.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import governance.database.fields
import governance.ids

# Whoever is known so far stays known: the signature of each pattern becomes one of its signatures, and the clock signs
# them again. The owner is under the policies too, which would hide every row: they are not forced meanwhile.
KEEP = """
    ALTER TABLE catalog_pattern NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE catalog_patternmatch NO FORCE ROW LEVEL SECURITY;
    INSERT INTO catalog_patternsignature (id, tenant_id, pattern_id, incident_id, hash, version, confidence)
    SELECT 'sig_' || substr(pattern.id, 5), pattern.tenant_id, pattern.id,
        (SELECT found.incident_id FROM catalog_patternmatch AS found
         WHERE found.tenant_id = pattern.tenant_id AND found.pattern_id = pattern.id
         ORDER BY found.id LIMIT 1),
        pattern.signature, pattern.signature_version, 1.0
    FROM catalog_pattern AS pattern;
    ALTER TABLE catalog_patternmatch FORCE ROW LEVEL SECURITY;
    ALTER TABLE catalog_pattern FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
        ("governance", "0009_fewer_keys"),
        ("incidents", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="pattern",
            name="frames",
            field=models.JSONField(
                db_default=[],
                default=list,
                editable=False,
                help_text="Of a stack trace: the functions, the failing one first.",
            ),
        ),
        migrations.CreateModel(
            name="PatternKey",
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
                        prefix="key",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("key", models.BigIntegerField()),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="keys",
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
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "key", "pattern"), name="pattern_key_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PatternSignature",
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
                        prefix="sig",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hash", models.CharField(editable=False, max_length=64)),
                ("version", models.PositiveSmallIntegerField(editable=False)),
                ("confidence", models.FloatField(help_text="How surely it is of the pattern.")),
                (
                    "is_taught",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="A person decided it, and no rule may change it.",
                    ),
                ),
                (
                    "successor",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="The hash that the same text has in a later version.",
                        max_length=64,
                    ),
                ),
                (
                    "incident",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="The first one signed so.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="incidents.incident",
                    ),
                ),
                (
                    "pattern",
                    governance.database.fields.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signatures",
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("successor", "")),
                        fields=["tenant", "version", "id"],
                        name="signature_to_renew",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "hash"), name="signature_once")
                ],
            },
        ),
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
    ]

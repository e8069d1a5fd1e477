from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="mode",
            field=models.CharField(
                blank=True,
                choices=[
                    ("agent_stop", "Agent Stop"),
                    ("bypass", "Bypass"),
                    ("degraded", "Degraded"),
                ],
                db_default="",
                default="",
                help_text="The mode that had the last word, if one had.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="decision",
            name="would_be",
            field=models.CharField(
                blank=True,
                choices=[
                    ("allow", "Allow"),
                    ("warn", "Warn"),
                    ("route_away", "Route Away"),
                    ("escalate", "Escalate"),
                    ("block", "Block"),
                    ("kill", "Kill"),
                ],
                db_default="",
                default="",
                help_text="The verdict without that mode; empty where nobody asked the policies.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="outcome",
            name="overridden",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Of a call that would have been denied, but for a bypass: kept, and no evidence.",
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recovery", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="outsidecall",
            name="said",
            field=models.JSONField(
                help_text="What was sent first, and is sent again each time.", null=True
            ),
        ),
    ]

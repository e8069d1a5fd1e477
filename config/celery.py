"""The Celery app. Its messages are hints: the work itself is in the database, and losing one is harmless."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("antibody")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

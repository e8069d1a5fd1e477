"""The Celery app. Its messages are hints: the work itself is in the database, and losing one is harmless."""

import os
from typing import Any

from celery import Celery, Task

from governance.gestures import new_gesture

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Gesture(Task):
    """Whatever one run of a task causes shares an id."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with new_gesture():
            return super().__call__(*args, **kwargs)


app = Celery("antibody", task_cls=Gesture)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

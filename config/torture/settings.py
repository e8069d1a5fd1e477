"""The product's settings with crash points and poison compiled in. Only a torture's own data directory takes them.

The product itself has none of it: nothing in config.settings, and no variable, leads here.
"""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured

from config.settings import *  # noqa: F403 - all of the product's
from config.settings import CELERY_BEAT_SCHEDULE, DATA_DIR, INSTALLED_APPS

# ``place.folder`` makes it, in a folder that is deleted afterwards.
if not (DATA_DIR / "torture").is_file():
    raise ImproperlyConfigured(
        f"{DATA_DIR} is not a torture's: use config.settings. These settings let processes kill themselves."
    )

INSTALLED_APPS = [*INSTALLED_APPS, "config.torture"]
ANTIBODY_LOOP = "config.torture.loop"
# The clock's work comes often enough to be interrupted.
CELERY_BEAT_SCHEDULE = {
    name: {**entry, "schedule": timedelta(seconds=2)}
    for name, entry in CELERY_BEAT_SCHEDULE.items()
}

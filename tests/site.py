"""The product's WSGI site on a test's database, for a gunicorn that a test starts."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

settings.DATABASES["default"]["NAME"] = os.environ["ANTIBODY_TEST_DATABASE"]

from config.wsgi import application  # noqa: E402 - the database comes first

__all__ = ["application"]

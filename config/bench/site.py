"""The product's WSGI site on the bench's database, for gunicorn."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.bench import place

place.use()

from config.wsgi import application  # noqa: E402 - the database comes first

__all__ = ["application"]

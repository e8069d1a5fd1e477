"""The product's WSGI site on the bench's database, for gunicorn."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.bench import place

place.use()

from config.wsgi import application  # noqa: E402 - the database comes first

from config.bench import unwritten  # isort: skip # noqa: E402 - needs the apps

if not unwritten.has_ledger():
    unwritten.leave_out_the_ledger()

__all__ = ["application"]

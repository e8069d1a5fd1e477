"""The site for a WSGI server: pages and API; streams want the ASGI one."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402 - the settings come first

from .database import prepare_from_settings  # noqa: E402

prepare_from_settings()
application = get_wsgi_application()

"""The site for a WSGI server: pages and API; streams want the ASGI one."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application
from servestatic import ServeStatic

from .database import prepare_from_settings
from .statics import with_static

prepare_from_settings()
application = with_static(ServeStatic, get_wsgi_application())

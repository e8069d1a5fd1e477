"""The site for a WSGI server: pages and API; streams want the ASGI one."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver
from servestatic import ServeStatic

from governance import readiness

from .database import prepare_from_settings
from .intake import strict_wsgi
from .statics import with_static

prepare_from_settings()
application = strict_wsgi(with_static(ServeStatic, get_wsgi_application()))
# What is loaded now stays: looking through all of it for garbage took a twentieth of a report's time.
get_resolver().url_patterns  # noqa: B018 - loads every view
# Before the first answer, so that nobody is served by what has not looked at itself.
readiness.standing(wait=readiness.FIRST_LOOK_SECONDS)
gc.freeze()

"""The site for an ASGI server: pages, API and streams."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Every request gets a thread of its own here, and a thread alone would connect anew.
os.environ.setdefault("ANTIBODY_POOL", "24")

from django.core.asgi import get_asgi_application
from servestatic import ServeStaticASGI

from governance import readiness

from .database import prepare_from_settings
from .intake import strict_asgi
from .statics import with_static

prepare_from_settings()
application = strict_asgi(with_static(ServeStaticASGI, get_asgi_application()))
# Before the first answer, so that nobody is served by what has not looked at itself.
readiness.standing(wait=readiness.FIRST_LOOK_SECONDS)

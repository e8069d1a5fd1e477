"""Static files, served by the process itself around the site and not through its middleware.

The library's middleware is asynchronous only: under WSGI every request, also those of the API, paid for three
changes of thread (a third of a report's time).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStatic, ServeStaticASGI

from governance.access.wire import HEADERS

Server = TypeVar("Server", ServeStatic, ServeStaticASGI)


def with_static(server: type[Server], application: Any) -> Server:
    """The application behind the static files of all apps; nothing needs to be collected first."""
    served = server(
        application, add_headers_function=_add_headers, allow_all_origins=False, max_age=3_600
    )
    for finder in get_finders():
        for storage in getattr(finder, "storages", {}).values():
            if Path(storage.location).is_dir():
                served.add_files(storage.location, prefix=settings.STATIC_URL)
    return served


def _add_headers(headers: Any, path: str, url: str) -> None:
    for name, value in HEADERS.items():
        headers[name] = value

"""Logins that row-level security does not hold, so that the other layers can be seen alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from config.database import _reconnect_with, administrator


@contextmanager
def without_row_security() -> Iterator[None]:
    """Let Django's connection of this thread log in as a superuser. Not inside a transaction."""
    admin = administrator(os.environ, settings.DATA_DIR)
    before = connection.settings_dict
    login = {
        "HOST": admin.host,
        "PORT": admin.port,
        "USER": admin.user,
        "PASSWORD": admin.password,
    }
    _reconnect_with({**before, **login})
    try:
        yield
    finally:
        _reconnect_with(before)

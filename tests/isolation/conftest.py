"""The crawl's database: committed, shared by the tests of a file, and emptied afterwards."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from config.database import Address, administrator

from . import world
from .crawl import stay_ready, writes_told
from .world import World


@pytest.fixture(scope="module")
def admin(django_db_setup: None) -> Address:
    """A superuser at the suite's database."""
    return replace(
        administrator(os.environ, settings.DATA_DIR), name=connection.settings_dict["NAME"]
    )


@pytest.fixture(scope="module")
def both(admin: Address, django_db_blocker: Any) -> Iterator[World]:
    """Acme and umbra, and triggers that tell of whatever is written of umbra's."""
    # Thousands of refusals are expected here; those that are not are findings.
    logging.disable(logging.CRITICAL)
    with django_db_blocker.unblock(), psycopg.connect(**admin.dsn(), autocommit=True) as superuser:
        try:
            stay_ready()
            made = world.made()
            with writes_told(superuser):
                yield made
        finally:
            logging.disable(logging.NOTSET)
            call_command("flush", interactive=False, verbosity=0)
            connection.close()

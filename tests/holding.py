"""Another session that holds tables, as a migration does: whoever asks for them waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection
from psycopg.sql import SQL, Identifier

from config.database import as_owner


@contextmanager
def held(*tables: str) -> Iterator[None]:
    """These tables are locked against reading as well, until the block is over."""
    with as_owner():
        login = connection.settings_dict
    with psycopg.connect(
        host=login["HOST"],
        port=login["PORT"],
        user=login["USER"],
        password=login["PASSWORD"],
        dbname=login["NAME"],
    ) as owner:
        for table in tables:
            owner.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(table)))
        yield
        owner.rollback()

"""Statements that go to the server together, where none rests on the answer of another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def one_trip() -> Iterator[None]:
    """Send what is executed inside on one trip; an error of any of it is raised where the block ends, or earlier.

    Who fetches rows or asks for a ``rowcount`` inside waits for them: the trip is then several.
    """
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield

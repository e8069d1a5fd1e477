"""Fewer trips to the server: where the cores are busy, each costs a wait for its turn, on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def one_trip() -> Iterator[None]:
    """Send the statements of this block together; inside a transaction, and for statements without an answer.

    An error of any of them is raised at the end of the block, and those after it were not carried out. Who reads rows
    inside waits for them, and the trip is then several; who wants them afterwards keeps the cursor open.
    """
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield

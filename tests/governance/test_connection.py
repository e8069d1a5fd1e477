"""A kept connection is taken as good until something says otherwise."""

from __future__ import annotations

import psycopg
import pytest
from django.db import close_old_connections, connection

WAIT_MS = 10_000


def one() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def login() -> psycopg.Connection:
    parts = connection.settings_dict
    return psycopg.connect(
        host=parts["HOST"],
        port=parts["PORT"],
        user=parts["USER"],
        password=parts["PASSWORD"],
        dbname=parts["NAME"],
        autocommit=True,
    )


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_closed_is_replaced_before_the_next_request() -> None:
    connection.close()
    assert one() == 1
    assert connection.is_usable()
    with login() as other:
        pid = connection.connection.info.backend_pid
        gone = other.execute("SELECT pg_terminate_backend(%s, %s)", (pid, WAIT_MS)).fetchone()
        assert gone == (True,)

    assert not connection.is_usable()
    close_old_connections()  # as at the beginning of each request
    assert one() == 1
    assert connection.connection.info.backend_pid != pid


@pytest.mark.django_db(transaction=True)
def test_after_an_error_the_server_is_asked() -> None:
    assert one() == 1
    connection.errors_occurred = True
    assert connection.is_usable()
    connection.connection.close()
    assert not connection.is_usable()
    close_old_connections()
    assert one() == 1

"""Whoever has a deadline waits no longer for the database, whatever holds it up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from governance.database.deadline import GRACE_SECONDS, Limit, within
from governance.database.tenancy import tenant_scope
from governance.models import Agent, Tenant
from tests import factories

SECONDS = 0.2
# What a busy machine needs to notice.
SLACK = 0.5


@contextmanager
def refused_in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(OperationalError):
        yield
    assert SECONDS * 0.9 <= time.monotonic() - began <= SECONDS + GRACE_SECONDS + SLACK


@pytest.mark.django_db(transaction=True)
def test_a_slow_statement_is_given_up_by_the_server_which_lives_on() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        before = cursor.fetchone()
        with refused_in_time(), within(SECONDS), transaction.atomic():
            cursor.execute("SELECT pg_sleep(5)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), current_setting('statement_timeout')")
        assert cursor.fetchone() == (*before, "0")


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_has_locked_is_not_waited_for() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        factories.agent("scout")
    parameters = connection.get_connection_params()
    login = {
        name: parameters[name]
        for name in ("host", "port", "user", "password", "dbname")
        if parameters.get(name)
    }
    with psycopg.connect(**login) as other:
        other.execute("SELECT set_config('app.tenant', %s, true)", [tenant.id])
        other.execute("UPDATE governance_agent SET name = name")
        with refused_in_time(), within(SECONDS), tenant_scope(tenant.id):
            Agent.objects.update(name="other")
        other.rollback()


@pytest.mark.django_db(transaction=True)
def test_many_quick_statements_have_one_deadline_together() -> None:
    with refused_in_time(), within(SECONDS), transaction.atomic(), connection.cursor() as cursor:
        for _ in range(100):
            cursor.execute("SELECT pg_sleep(0.05)")


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_would_be_answered_too_late_is_not_begun() -> None:
    """Who was refused must not have left something behind."""
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        factories.agent("scout")
    refused = pytest.raises(OperationalError)
    with refused, within(2 * SECONDS), tenant_scope(tenant.id), connection.cursor() as cursor:
        Agent.objects.update(name="other")
        for _ in range(2):
            cursor.execute("SELECT pg_sleep(%s)", [SECONDS])
    connection.close_if_unusable_or_obsolete()
    with tenant_scope(tenant.id):
        assert Agent.objects.get().name == "scout"


@pytest.mark.parametrize(
    ("left", "waited", "answers", "is_begun"),
    [
        (0.1, 0.6, 3, False),  # as long as they took, it comes too late
        (0.3, 0.6, 3, True),
        (0.5, 5.0, 1, True),  # work that took long says nothing of a commit
        (0.2, 5.0, 1, False),
        (0.1, 0.0, 0, True),
    ],
)
def test_a_commit_is_begun_where_its_answer_would_come_in_time(
    left: float, waited: float, answers: int, is_begun: bool
) -> None:
    limit = Limit(left)
    limit.waited, limit.answers = waited, answers
    assert limit.is_too_short is not is_begun


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_missed_a_deadline_is_not_used_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        # Outside a transaction the server is not told, and goes on.
        with refused_in_time(), within(SECONDS):
            cursor.execute("SELECT pg_sleep(2)")
    assert connection.connection.closed
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_takes_no_connection_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It listens, and then says nothing."""
    connection.close()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        monkeypatch.setitem(connection.settings_dict, "HOST", host)
        monkeypatch.setitem(connection.settings_dict, "PORT", str(port))
        with refused_in_time(), within(SECONDS):
            connection.ensure_connection()
    monkeypatch.undo()
    connection.close()


def test_the_deadline_ends_with_its_block(acme: Tenant) -> None:
    """Also in a transaction that goes on."""

    def told() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            return str(cursor.fetchone()[0])

    assert told() == "0"
    with within(2.5):
        assert told() == "2500ms"
        with transaction.atomic():
            assert told() == "2500ms"
            transaction.set_rollback(True)
        assert told() == "2500ms"
    assert told() == "0"

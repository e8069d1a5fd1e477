"""Rows that are inserted by a constant text come back as bulk_create would have written them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F, JSONField, Value
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.database.inserts import CannotInsert, insert
from governance.database.tenancy import TenantError, leave_tenant
from governance.models import Agent, ApiToken, LedgerEntry, Tenant
from incidents.models import Incident
from tests import factories
from tests.incidents.test_report import HOSTILE


def incident(**said: Any) -> Incident:
    said = {"error_type": "E", "message": "m", "source": "test", "context": {}, **said}
    return Incident(agent=factories.agent(), category="operational", severity="low", **said)


def test_a_row_comes_back_as_it_was_sent(acme: Tenant) -> None:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    rows = [
        incident(
            message=text,
            tool=text[:200],
            arguments={text[:100]: [text, 1, None, True]},
            context={},
            simulated=True,
            occurred_at=an_hour_ago,
        )
        for text in [*HOSTILE, '{"},\\\\', "NULL", "a,b"]
    ]
    assert insert(rows) == len(rows)

    kept = {row.id: row for row in Incident.objects.all()}
    for row in rows:
        assert not row._state.adding
        for name in ("tenant_id", "agent_id", "message", "tool", "arguments", "context"):
            assert getattr(kept[row.id], name) == getattr(row, name)
        assert (kept[row.id].simulated, kept[row.id].run_id) == (True, None)
        assert kept[row.id].occurred_at == an_hour_ago


def test_bytes_come_back_too(acme: Tenant) -> None:
    body = bytes(range(256))
    insert([LedgerEntry(kind="k", subject="s", actor="a", body=body, hash=b"\\x00")])
    kept = LedgerEntry.objects.get(kind="k")
    assert (bytes(kept.body), bytes(kept.hash)) == (body, b"\\x00")


def test_the_database_fills_in_what_a_row_does_not_say(acme: Tenant) -> None:
    said = timezone.now() - timedelta(days=1)
    silent, telling = incident(), incident(occurred_at=said)
    insert([silent, telling])
    silent.refresh_from_db()
    telling.refresh_from_db()
    assert silent.occurred_at == silent.created_at > said
    assert telling.occurred_at == said


def test_any_number_of_rows_is_one_statement(acme: Tenant) -> None:
    with CaptureQueriesContext(connection) as asked:
        insert([])
        assert len(asked) == 0
        insert([Agent(name=f"agent {n}") for n in range(3)])
        assert len(asked) == 1
    assert Agent.objects.count() == 3


def test_an_expression_stands_for_a_value(acme: Tenant) -> None:
    token = ApiToken(
        account_id=None, user=factories.member(acme, "otto", "viewer"), last_used_at=Now()
    )
    insert([token, incident()])
    assert ApiToken.objects.get().last_used_at is not None
    assert Incident.objects.count() == 1


@pytest.mark.parametrize("value", [Value("x"), Value(None, JSONField()), F("source")])
def test_an_expression_of_more_than_itself_is_refused(acme: Tenant, value: Any) -> None:
    with pytest.raises(CannotInsert, match="arguments"):
        insert([incident(arguments=value)])


def test_a_conflict_is_an_error_or_ignored_and_counted(acme: Tenant) -> None:
    assert insert([incident(source_key="1")]) == 1
    again = [incident(source_key="1"), incident(source_key="2")]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(again)
    assert insert(again, ignore_conflicts=True) == 1
    assert set(Incident.objects.values_list("source_key", flat=True)) == {"1", "2"}


def test_what_is_too_long_is_refused_and_not_cut_off(acme: Tenant) -> None:
    with pytest.raises(DataError), transaction.atomic():
        insert([incident(error_type="E" * 201)])


def test_a_row_needs_a_tenant(acme: Tenant) -> None:
    leave_tenant()
    with pytest.raises(TenantError):
        insert([Agent(name="ghost")])

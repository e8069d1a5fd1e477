"""A tenant's rows exist only in its own scope, and the database alone sees to that."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from governance.database import isolation
from governance.database.tenancy import TenantError, leave_tenant, tenant_scope
from governance.ids import new_id
from governance.models import Agent, LedgerEntry, LoopStep, LoopTrace, Tenant
from tests import factories


def test_the_suite_runs_as_the_apps_login(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == ("antibody_app", False, False)


def test_the_database_has_all_that_the_models_ask_for(db: None) -> None:
    assert isolation.missing() == []
    assert len(list(isolation.wanted())) > 100


def test_an_outsider_sees_nothing(acme: Tenant, umbra: Tenant) -> None:
    factories.incident()
    leave_tenant()
    with tenant_scope(umbra.id):
        for model in isolation.tenant_models():
            assert model._default_manager.exclude(tenant_id=umbra.id).count() == 0, model
        assert Agent.objects.count() == 0


def test_without_a_tenant_nothing_is_seen_and_nothing_written(acme: Tenant) -> None:
    factories.agent()
    leave_tenant()
    assert Agent.objects.count() == 0
    with pytest.raises(ProgrammingError), transaction.atomic():
        Agent.objects.create(tenant_id=acme.id, name="ghost")


def test_a_row_of_another_tenant_cannot_be_written(acme: Tenant, umbra: Tenant) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic():
        Agent.objects.create(tenant_id=umbra.id, name="ghost")


def test_a_foreign_key_cannot_cross_tenants(acme: Tenant, umbra: Tenant) -> None:
    leave_tenant()
    with tenant_scope(umbra.id):
        theirs = LoopTrace.objects.create(incident_id=new_id("inc"), headline="theirs")
    with tenant_scope(acme.id), pytest.raises(IntegrityError), transaction.atomic():
        LoopStep.objects.create(trace_id=theirs.id, stage="pattern_matched")


def test_two_tenants_cannot_be_in_scope_at_once(acme: Tenant, umbra: Tenant) -> None:
    with pytest.raises(TenantError), tenant_scope(umbra.id):
        pass


@pytest.mark.django_db(transaction=True)
def test_a_tenants_query_outside_a_transaction_is_refused() -> None:
    tenant = factories.tenant("acme")
    from governance.database.tenancy import enter_tenant

    token = enter_tenant(tenant.id)
    try:
        with pytest.raises(TenantError):
            Agent.objects.count()
    finally:
        leave_tenant(token)


@pytest.mark.parametrize("statement", ["UPDATE {} SET kind = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_evidence_cannot_be_changed(acme: Tenant, statement: str) -> None:
    table = LedgerEntry._meta.db_table
    before = LedgerEntry.objects.count()
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))
    assert LedgerEntry.objects.count() == before > 0

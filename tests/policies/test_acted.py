"""What was done, kept in memory: read once, in the order that was asked for, and of its own tenant alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from policies.models import Outcome
from policies.services import acted
from tests import factories

from . import living


@pytest.fixture
def acme(transactional_db: None) -> Iterator[Tenant]:
    """A tenant in a process that has just started; what is read is kept when it is committed."""
    acted.forget()
    yield factories.tenant("acme")
    acted.forget()


def made(tenant: Tenant, *queries: str) -> list[str]:
    """The outcomes of good calls, in order."""
    with tenant_scope(tenant.id):
        for query in queries:
            living.succeed({"query": query})
        return list(Outcome.objects.order_by("id").values_list("id", flat=True))


def read(tenant: Tenant, outcomes: list[str]) -> tuple[list[str], int]:
    """What they asked for, and how many of them were read for it."""
    with tenant_scope(tenant.id), CaptureQueriesContext(connection) as asked:
        found = [each.arguments["query"] for each in acted.carried_out(outcomes)]
    reading = [each["sql"] for each in asked if "arguments" in each["sql"]]
    return found, sum(outcome in sql for sql in reading for outcome in outcomes)


def test_what_is_kept_is_not_read_again_and_its_order_is_that_of_the_question(
    acme: Tenant,
) -> None:
    first, second = made(acme, "one", "two")
    assert read(acme, [first]) == (["one"], 1)
    assert read(acme, [second, first]) == (["two", "one"], 1)
    assert read(acme, [first, second]) == (["one", "two"], 0)


def test_what_was_read_before_a_rollback_is_not_kept(acme: Tenant) -> None:
    outcomes = made(acme, "one")
    with tenant_scope(acme.id):
        acted.carried_out(outcomes)
        transaction.set_rollback(True)
    assert read(acme, outcomes) == (["one"], 1)


def test_what_was_read_longest_ago_goes_first(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acted, "KEPT", 2)
    first, second, third = made(acme, "one", "two", "three")
    for each in (first, second, third):
        read(acme, [each])
    assert read(acme, [second, third]) == (["two", "three"], 0)
    assert read(acme, [first]) == (["one"], 1)


def test_another_tenants_action_is_not_handed_out(acme: Tenant) -> None:
    outcomes = made(acme, "secret")
    read(acme, outcomes)
    with tenant_scope(factories.tenant("rival").id), pytest.raises(KeyError):
        acted.carried_out(outcomes)

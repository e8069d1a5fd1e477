"""The newest outcomes, kept in memory: read once, missed by nobody, and of their own tenant alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import tenant_scope
from governance.ids import earlier, new_id
from governance.models import Tenant
from policies.models import Outcome
from policies.services import known, touched
from tests import factories

from . import living
from .guarding import decided, policy


@pytest.fixture
def acme(transactional_db: None) -> Iterator[Tenant]:
    """A tenant in a process that has just started; what is read is kept when it is committed."""
    known.forget()
    touched.KEPT.forget()
    yield factories.tenant("acme")
    known.forget()
    touched.KEPT.forget()


def made(tenant: Tenant, *queries: str) -> None:
    """Good calls, in order."""
    with tenant_scope(tenant.id):
        for query in queries:
            living.succeed({"query": query})


def queries(tenant: Tenant, tool: str = "sql_query") -> tuple[list[str], int]:
    """The good calls, latest first, and how many of them were read for it."""
    with tenant_scope(tenant.id), CaptureQueriesContext(connection) as asked:
        found = [call.arguments["query"] for call in known.good_calls(tool)]
        ids = list(Outcome.objects.values_list("id", flat=True))
    reading = [each["sql"] for each in asked if "arguments" in each["sql"]]
    return found, sum(outcome in sql for sql in reading for outcome in ids)


def test_what_is_kept_is_not_read_again(acme: Tenant) -> None:
    made(acme, "one", "two")
    assert queries(acme) == (["two", "one"], 2)
    made(acme, "three")
    assert queries(acme) == (["three", "two", "one"], 1)
    assert queries(acme) == (["three", "two", "one"], 0)


def test_a_call_that_was_committed_late_is_found_however_many_came_before(acme: Tenant) -> None:
    """Its outcome had its id first and was committed last: who reads on from the last one must look back."""
    late = new_id("otc")
    made(acme, *(f"SELECT {number}" for number in range(60)))
    assert len(queries(acme)[0]) == 60
    with tenant_scope(acme.id):
        call = living.decision({"query": "SELECT late"})
        Outcome.objects.create(id=late, decision=call, agent=call.agent, tool=call.tool, ok=True)
    assert queries(acme)[0][-1] == "SELECT late"


def test_what_was_read_before_a_rollback_is_not_kept(acme: Tenant) -> None:
    made(acme, "one")
    with tenant_scope(acme.id):
        known.good_calls("sql_query")
        transaction.set_rollback(True)
    assert queries(acme) == (["one"], 1)


def test_what_was_asked_for_longest_ago_goes_first(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known.KEPT, "kept", 2)
    made(acme, "one", "two")
    assert queries(acme)[1] == 2
    with tenant_scope(acme.id):
        other = decided(tool="other", arguments={"query": "other"})
        living.reported(other, ok=True)
    assert queries(acme, "other")[1] == 1
    assert queries(acme, "other")[1] == 0
    assert queries(acme)[1] == 2


def test_only_the_newest_are_kept(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known.KEPT, "most", 2)
    made(acme, "one", "two")
    assert queries(acme)[0] == ["two", "one"]
    made(acme, "three")
    assert queries(acme)[0] == ["three", "two"]


def test_another_tenants_calls_are_not_handed_out(acme: Tenant) -> None:
    made(acme, "secret")
    assert queries(acme)[0] == ["secret"]
    assert queries(factories.tenant("rival"))[0] == []


def test_what_is_kept_grows_too_old(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    made(acme, "one", "two")
    for days, looked_at in ((30, 2), (30, 2), (0, 0)):
        monkeypatch.setattr(touched, "WINDOW", timedelta(days=days))
        with tenant_scope(acme.id):
            rule = policy(state="draft", condition="arguments.query == 'one'", tool="sql_query")
            assert touched.blast_radius(rule)["looked_at"] == looked_at


def test_what_was_made_so_long_before_sorts_below_what_was_made_since() -> None:
    one = new_id("otc")
    assert earlier(one, timedelta(seconds=60)) < earlier(one, timedelta(seconds=59)) < one
    assert one[:4] == earlier(one, timedelta(seconds=60))[:4] == "otc_"
    assert earlier(one, timedelta(0)) <= one

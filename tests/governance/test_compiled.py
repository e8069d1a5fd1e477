"""A compiled question answers as its queryset would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from catalog.models import PatternMatch
from catalog.services import match_incident
from governance.database.compiled import CannotCompile, Question, ask, compiled
from governance.database.inserts import insert
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.database.trips import one_trip
from governance.models import Agent, Tenant
from incidents.models import Incident
from tests import factories


@compiled
def agents_named(names: Sequence[str]) -> QuerySet[Agent]:
    return Agent.objects.filter(name__any=names)


@compiled
def matches_of(incident_ids: Sequence[str], band: str) -> QuerySet[PatternMatch]:
    return (
        PatternMatch.objects.filter(incident_id__any=incident_ids, band=band)
        .select_related("incident__agent", "pattern")
        .defer("incident__context")
        .order_by("id")
    )


@compiled
def tools_of(agent_id: str) -> QuerySet[Incident, str]:
    return Incident.objects.filter(agent=agent_id).values_list("tool", flat=True)


@compiled
def reports_of(agent_id: str) -> QuerySet[Incident, tuple[str, Any]]:
    return Incident.objects.filter(agent=agent_id).values_list("id", "arguments")


def test_it_answers_with_whole_records_and_those_joined_to_them(acme: Tenant) -> None:
    incident = factories.incident("boom", context={"secret": 1})
    match = match_incident(incident)
    factories.incident("another")

    with CaptureQueriesContext(connection) as asked:
        [found] = matches_of([incident.id, "inc_none"], band="novel")
        assert (found, found.band, found.why) == (match, "novel", match.why)
        assert found.incident.arguments == incident.arguments
        assert (found.incident.agent.name, found.pattern) == ("scout", match.pattern)
        assert not found._state.adding
    assert len(asked) == 1
    assert found.incident.context == {"secret": 1}  # deferred, and read when it is wanted


def test_it_answers_with_columns_too(acme: Tenant) -> None:
    incident = factories.incident("boom", tool="book", arguments={"n": [1]})
    assert tools_of(incident.agent_id) == ["book"]
    assert reports_of(incident.agent_id) == [(incident.id, {"n": [1]})]


def test_every_call_sends_the_same_text(acme: Tenant) -> None:
    factories.agent("scout")
    with CaptureQueriesContext(connection) as asked:
        answers = [
            [agent.name for agent in agents_named(names)]
            for names in ([], ["scout"], ["scout", "nobody"], ["nobody", "no one", "none"])
        ]
    assert answers == [[], ["scout"], ["scout"], []]
    assert len(asked) == 4


def test_each_tenant_is_answered_with_its_own(acme: Tenant, umbra: Tenant) -> None:
    mine = factories.agent("scout")
    leave_tenant()
    with tenant_scope(umbra.id):
        assert agents_named(["scout"]) == []
    with tenant_scope(acme.id):
        assert agents_named(["scout"]) == [mine]


@pytest.mark.django_db(transaction=True)
def test_threads_ask_over_their_own_connections() -> None:
    tenants = [factories.tenant(slug) for slug in ("acme", "umbra")]
    for tenant in tenants:
        with tenant_scope(tenant.id):
            factories.agent(f"scout of {tenant.slug}")
    names = [f"scout of {tenant.slug}" for tenant in tenants]

    @compiled
    def agents(names: Sequence[str]) -> QuerySet[Agent]:
        return Agent.objects.filter(name__any=names)

    def ask(number: int) -> bool:
        tenant = tenants[number % 2]
        try:
            return all(found(tenant) for _ in range(50))
        finally:
            connection.close()

    def found(tenant: Tenant) -> bool:
        with tenant_scope(tenant.id):
            return [agent.tenant_id for agent in agents(names)] == [tenant.id]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


@contextmanager
def traced(file: Path) -> Iterator[Callable[[], int]]:
    """How often the server was asked to answer, which ends a trip (Sync in PostgreSQL's protocol)."""
    with file.open("w") as written:
        connection.connection.pgconn.trace(written.fileno())
        yield lambda: file.read_text().count("\tSync")
        connection.connection.pgconn.untrace()


def test_several_are_asked_on_one_trip_and_answered_each_with_its_own(
    acme: Tenant, tmp_path: Path
) -> None:
    incident = factories.incident("boom", tool="book", arguments={"n": [1]})
    agent = incident.agent

    questions: list[Question[Any]] = [
        agents_named.ready(["scout"]),
        tools_of.ready(agent.id),
        reports_of.ready(agent.id),
        tools_of.ready(agent.id).then(len),
    ]
    with traced(tmp_path / "together") as together:
        answers = ask(*questions)
    with traced(tmp_path / "apart") as apart:
        singly = [answer for each in questions for answer in ask(each)]

    assert answers == [[agent], ["book"], [(incident.id, {"n": [1]})], 1]
    assert answers == singly
    assert together() == 1 < apart()


@pytest.mark.django_db(transaction=True)
def test_a_trip_tells_the_tenant_and_nobody_sees_anothers() -> None:
    mine, others = factories.tenant("acme"), factories.tenant("umbra")
    for tenant in (mine, others):
        with tenant_scope(tenant.id):
            factories.agent(f"scout of {tenant.slug}")
    names = ["scout of acme", "scout of umbra"]
    for tenant in (mine, others, mine):
        with tenant_scope(tenant.id):
            both = ask(agents_named.ready(names), agents_named.ready(names[:1] * 2))
            assert [agent.name for agent in both[0]] == [f"scout of {tenant.slug}"]
            assert len(both[1]) == (tenant == mine)


def test_what_fails_on_a_trip_is_raised_at_its_end(acme: Tenant) -> None:
    factories.agent("scout")
    with pytest.raises(IntegrityError), transaction.atomic(), one_trip():  # noqa: PT012
        insert([Agent(name="scout")])
        insert([Agent(name="another")])
    assert agents_named(["scout", "another"]) == [Agent.objects.get()]


def unheard(agent_id: str, name: str) -> QuerySet[Agent]:
    return Agent.objects.filter(id=agent_id)


def empty(agent_id: str) -> QuerySet[Agent]:
    return Agent.objects.filter(id=agent_id, name__in=[])


def prefetching(agent_id: str) -> QuerySet[Agent]:
    return Agent.objects.filter(id=agent_id).prefetch_related("runs")


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [(unheard, "never sends"), (empty, "without rows"), (prefetching, "prefetches")],
)
def test_what_has_no_constant_text_is_refused(
    acme: Tenant, declared: Callable[..., QuerySet[Agent]], complaint: str
) -> None:
    arguments = ["x"] * declared.__code__.co_argcount
    with pytest.raises(CannotCompile, match=complaint):
        compiled(declared)(*arguments)


def test_nobody_is_called_none(acme: Tenant) -> None:
    with pytest.raises(TypeError, match="None"):
        tools_of(None)  # type: ignore[arg-type]

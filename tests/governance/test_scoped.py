"""Every queryset of a tenant's model asks for the tenant in scope, whether the database does so too or not.

What is proven about the filter itself is proven as a superuser, whom row-level security does not hold.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, models, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.db.utils import DatabaseError

from config.database import _reconnect_with
from governance.database import checks
from governance.database.compiled import compiled
from governance.database.isolation import tenant_models
from governance.database.scoped import IN_SCOPE, TenantManager
from governance.database.tenancy import enter_tenant, leave_tenant, tenant_scope
from governance.loop import queue
from governance.models import Agent, LoopStep, LoopTrace, Run, Tenant
from governance.story.stats import stats
from incidents.models import Incident
from tests import factories
from tests.isolation.logins import without_row_security

MODELS = tenant_models()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_all_managers_of_a_tenants_model_are_scoped(model: type[models.Model]) -> None:
    managers = [model._default_manager, model._base_manager, *model._meta.managers]
    assert all(isinstance(manager, TenantManager) for manager in managers)
    for relation in model._meta.related_objects:
        if name := relation.get_accessor_name():
            manager = getattr(model, name).related_manager_cls
            assert issubclass(manager, TenantManager), name


def test_a_manager_that_finds_everything_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.managers_are_scoped() == []
    as_before: models.Manager[Agent] = models.Manager()
    as_before.name = "everything"
    monkeypatch.setattr(Agent._meta, "managers", (as_before,))
    [error] = checks.managers_are_scoped()
    assert (error.id, error.obj) == ("governance.E001", Agent)


@pytest.fixture
def both(transactional_db: None) -> Iterator[tuple[Tenant, Tenant]]:
    """Acme and umbra, each with a story begun; asked by a login that row-level security does not hold."""
    tenants = factories.tenant("acme"), factories.tenant("umbra")
    for tenant in tenants:
        with tenant_scope(tenant.id):
            agent = factories.agent("scout")
            Run.objects.create(agent=agent, name="monday")
            factories.incident(f"a failure of {tenant.slug}", agent=agent)
    with without_row_security():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT tenant_id) FROM incidents_incident")
            assert cursor.fetchone() == (2,), "this login sees every row"
        yield tenants


@pytest.fixture(params=["bound by the server", "bound by the client"])
def binding(request: pytest.FixtureRequest, both: tuple[Tenant, Tenant]) -> None:
    """The two ways in which a parameter reaches the server; the second is for old poolers."""
    by_server = "server" in request.param
    # Prepared at once, and so kept for whoever comes next.
    options = {"server_side_binding": by_server, "prepare_threshold": 0 if by_server else None}
    _reconnect_with({**connection.settings_dict, "OPTIONS": options})


@compiled
def agents_named(names: Sequence[str]) -> QuerySet[Agent]:
    return Agent.objects.filter(name__any=names)


@pytest.mark.usefixtures("binding")
def test_only_rows_of_the_tenant_in_scope_are_found(both: tuple[Tenant, Tenant]) -> None:
    for tenant in (*both, *both):
        with tenant_scope(tenant.id):
            assert {each.tenant_id for each in Incident.objects.all()} == {tenant.id}
            assert Incident.objects.get().agent.tenant_id == tenant.id
            assert [each.tenant_id for each in agents_named(["scout"])] == [tenant.id]
            for model in MODELS:
                found = model._default_manager.values_list("tenant_id", flat=True)
                assert set(found) <= {tenant.id}, model
                assert set(model._base_manager.values_list("tenant_id", flat=True)) <= {tenant.id}
    for model in MODELS:
        assert not model._default_manager.exists(), model
    assert agents_named(["scout"]) == []


def test_a_queryset_is_asked_in_the_scope_of_the_moment(both: tuple[Tenant, Tenant]) -> None:
    acme, umbra = both
    with tenant_scope(acme.id):
        made_here = Agent.objects.filter(name="scout")
        kept = pickle.loads(pickle.dumps(made_here.query))
    with tenant_scope(umbra.id):
        assert [each.tenant_id for each in made_here] == [umbra.id]
        again = Agent.objects.all()
        again.query = kept
        assert [each.tenant_id for each in again] == [umbra.id]
        assert copy.deepcopy(made_here).get().tenant_id == umbra.id
    assert pickle.loads(pickle.dumps(IN_SCOPE)) is IN_SCOPE


def test_joins_subqueries_and_counts_stay_inside(both: tuple[Tenant, Tenant]) -> None:
    acme, _ = both
    with tenant_scope(acme.id):
        everything = Agent.objects.filter(name="x") | Agent.objects.exclude(name="x")
        assert everything.count() == 1
        assert Agent.objects.aggregate(all=Count("id"))["all"] == 1
        runs = Run.objects.filter(agent__name=OuterRef("name"))
        assert Agent.objects.filter(Exists(runs)).count() == 1
        assert Agent.objects.filter(pk__in=Run.objects.values("agent")).count() == 1
        assert Agent.objects.annotate(Count("runs")).get().runs__count == 1
        assert Agent.objects.union(Agent.objects.all(), all=True).count() == 2
        assert [len(each.runs.all()) for each in Agent.objects.prefetch_related("runs")] == [1]


def test_a_foreign_record_in_hand_opens_nothing(both: tuple[Tenant, Tenant]) -> None:
    acme, umbra = both
    with tenant_scope(umbra.id):
        agent, step = Agent.objects.get(), LoopStep.objects.get()
        trace = LoopTrace.objects.get()
    with tenant_scope(acme.id):
        assert agent.runs.count() == trace.steps.count() == 0
        with pytest.raises(ObjectDoesNotExist):
            assert step.trace
        with pytest.raises(ObjectDoesNotExist):
            agent.refresh_from_db()
        agent.name = "renamed by acme"
        with pytest.raises(DatabaseError), transaction.atomic():
            agent.save(update_fields=["name"])
        for found in (Agent.objects.filter(pk=agent.pk), Run.objects.filter(agent=agent)):
            assert found.update(name="renamed by acme") == 0
            assert found.delete()[0] == 0
        with pytest.raises(ObjectDoesNotExist):
            Agent.objects.get(pk=agent.pk)
    with tenant_scope(umbra.id):
        assert Agent.objects.get().name == "scout"


def test_what_is_asked_past_the_orm_asks_for_the_tenant_too(both: tuple[Tenant, Tenant]) -> None:
    acme, umbra = both
    claim = queue.claim()
    theirs = [work for work in claim.works if work.tenant_id == umbra.id]
    assert len(theirs) == 1
    with tenant_scope(acme.id):
        assert stats()["loops"]["running"] == 1
        assert queue.fence(claim.token, theirs) == (set(), set())
        assert not queue.renew(claim.token, theirs[0].step_id, 60.0)
    with tenant_scope(umbra.id):
        LoopStep.objects.update(state="waiting", waits_for="pol_x", claim_token="")
    with tenant_scope(acme.id):
        assert queue.resume("pol_x") == 0
    with tenant_scope(umbra.id):
        assert queue.resume("pol_x") == 1


def test_threads_are_each_in_a_scope_of_their_own(both: tuple[Tenant, Tenant]) -> None:
    login = connection.settings_dict

    def ask(number: int) -> bool:
        connection.settings_dict = login
        tenant = both[number % 2]
        enter_tenant(tenant.id)
        leave_tenant()
        try:
            return all(found(tenant) for _ in range(30))
        finally:
            connection.close()

    def found(tenant: Tenant) -> bool:
        with tenant_scope(tenant.id):
            asked = [*agents_named(["scout"]), *Agent.objects.all()]
            return [each.tenant_id for each in asked] == [tenant.id] * 2

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))

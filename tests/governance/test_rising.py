"""Nobody raises their own rights, and a tenant keeps one admin: by verb, by form and by SQL."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test import Client

from governance import tenants
from governance.actors import LOOP, Actor
from governance.checkpoints import NotAllowed, ask, decide
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Checkpoint, Membership, Tenant, User
from tests import factories

ROLES = ("viewer", "reviewer", "operator", "admin")


def actor(user: User) -> Actor:
    return Actor("user", str(user.pk), user.username)


def client_of(user: User) -> Client:
    leave_tenant()
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(acme: Tenant) -> User:
    return factories.member(acme, "boss", "admin")


@pytest.fixture
def second(acme: Tenant, boss: User) -> User:
    return factories.member(acme, "second", "admin")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_their_own_role(acme: Tenant, boss: User, second: User, role: str) -> None:
    with pytest.raises(tenants.OwnRole):
        tenants.add_member(acme, boss, role, actor=actor(boss))
    membership = Membership.objects.get(user=boss)
    client_of(boss).post(
        f"/admin/governance/membership/{membership.pk}/do/role/", {"reason": "x", "role": role}
    )
    membership.refresh_from_db()
    assert membership.role == "admin"


def test_who_runs_the_server_gives_himself_no_role_in_a_tenant(acme: Tenant) -> None:
    root = User.objects.create_superuser("root", password="root of the server")
    answer = client_of(root).post(
        "/admin/governance/membership/add/", {"user": root.pk, "tenant": acme.pk, "role": "admin"}
    )
    assert answer.status_code == 403
    assert not Membership.objects.filter(user=root).exists()


def test_an_admin_of_a_tenant_makes_nobody_a_superuser(acme: Tenant, boss: User) -> None:
    client = client_of(boss)
    for user in (boss, factories.member(acme, "vera", "viewer")):
        answer = client.post(
            f"/admin/governance/user/{user.pk}/change/",
            {"username": user.username, "is_superuser": "on", "is_staff": "on"},
        )
        assert answer.status_code == 403
        user.refresh_from_db()
        assert not user.is_superuser


def test_the_last_admin_stays_one_until_there_is_another(
    acme: Tenant, boss: User, rita: Actor
) -> None:
    with pytest.raises(tenants.LastAdmin):
        tenants.add_member(acme, boss, "viewer", actor=rita)
    factories.member(acme, "second", "admin")
    tenants.add_member(acme, boss, "viewer", actor=rita)
    assert Membership.objects.get(user=boss).role == "viewer"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_membership SET role = 'viewer' WHERE user_id = %s",
        "UPDATE governance_membership SET tenant_id = 'ten_another' WHERE user_id = %s",
        "DELETE FROM governance_membership WHERE user_id = %s",
    ],
)
def test_not_even_sql_takes_the_last_admin(acme: Tenant, boss: User, statement: str) -> None:
    with (
        pytest.raises(DatabaseError, match="a tenant keeps one admin"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, [boss.pk])


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_lower_each_other_at_once_one_remains() -> None:
    acme = factories.tenant("acme")
    one, other = (factories.member(acme, name, "admin") for name in ("one", "other"))
    ready = threading.Barrier(2)

    def lower(victim: User, by: User) -> None:
        try:
            ready.wait(20)
            tenants.add_member(acme, victim, "viewer", actor=actor(by))
        except tenants.LastAdmin:
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=lower, args=pair) for pair in ((one, other), (other, one))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Membership.objects.filter(tenant=acme, role="admin").count() == 1


def test_nobody_decides_what_they_asked_for(acme: Tenant, boss: User) -> None:
    asked = ask("simulate_routing", subject="x", title="?", shown={}, requested_by=actor(boss))
    with pytest.raises(NotAllowed):
        decide(asked, approve=True, actor=actor(boss), digest=asked.digest)
    with pytest.raises(IntegrityError, match="checkpoint_not_ones_own"), transaction.atomic():
        Checkpoint.objects.filter(pk=asked.pk).update(
            state="approved", decided_by=asked.requested_by
        )
    page = client_of(boss).post(
        f"/console/checkpoints/{asked.pk}/approve", {"digest": asked.digest}
    )
    assert page.status_code == 403


def test_a_service_account_decides_nothing(acme: Tenant) -> None:
    asked = ask("simulate_routing", subject="x", title="?", shown={}, requested_by=LOOP)
    for nobody in (Actor("service", "acc_1"), LOOP):
        with pytest.raises(NotAllowed):
            decide(asked, approve=True, actor=nobody, digest=asked.digest)
    with tenant_scope(acme.id):
        asked.refresh_from_db()
    assert asked.state == "pending"

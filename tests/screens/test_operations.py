"""The page of operations and the line on every page: who may turn what, what is asked, what everybody sees."""

from __future__ import annotations

import pytest
from django.test import Client

from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.ledger.sequencer import number_entries
from governance.models import Agent, Bypass, LedgerEntry, Membership, Settings, Tenant
from governance.modes import bypassing
from governance.modes.stopping import stop
from governance.screens import feeds
from governance.screens.standing import mark_of, standing

from .. import factories
from .conftest import Visit
from .test_admin import address, superuser

SERVER = Actor("user", "0")
PLACES = ["/console/", "/console/operations", "/admin/", "/admin/governance/agent/"]


def html(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def in_force(acme: Tenant) -> Bypass:
    with tenant_scope(acme.id):
        bypass = bypassing.ask(minutes=5, actor=SERVER, reason="Wrong <b>about</b> all")
        bypassing.confirm(bypass, actor=Actor("user", "999999"))
        number_entries()
        assert bypassing.come_into_force()
    return bypass


@pytest.mark.parametrize("path", PLACES)
def test_every_page_says_in_what_state_the_product_is(
    visit: Visit, acme: Tenant, path: str
) -> None:
    client = visit("viewer")
    assert "READY" in html(client, path)
    with tenant_scope(acme.id):
        stop(None, actor=SERVER, reason="A <i>leak</i>")
    shown = html(client, path)
    assert "STOPPED" in shown
    assert "A &lt;i&gt;leak&lt;/i&gt;" in shown
    assert "/console/operations" in shown


@pytest.mark.parametrize("path", PLACES)
def test_every_page_says_loudly_that_nobody_governs(
    visit: Visit, acme: Tenant, umbra: Tenant, path: str
) -> None:
    client, outsider = visit("viewer"), visit("viewer", "olaf", umbra)
    in_force(acme)
    shown = html(client, path)
    assert "Not governed" in shown
    assert "Wrong &lt;b&gt;about&lt;/b&gt; all" in shown
    shown = html(outsider, path)
    assert "Not governed" not in shown
    assert "READY" in shown


def test_an_operator_stops_and_lets_go_on_with_a_reason_each(visit: Visit, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        factories.agent("scout")
    client = visit("operator")
    for agent in ({}, {"agent": "scout"}):
        for to in ("on", "off"):
            path = f"/console/operations/agent-stop/{to}"
            assert client.post(path, agent).status_code == 400
            answer = client.post(path, {**agent, "reason": "because"})
            assert (answer.status_code, answer["Location"]) == (302, "/console/operations")
            with tenant_scope(acme.id):
                held = Agent.objects.get() if agent else Settings.objects.get()
                assert held.stopped is (to == "on")
    with tenant_scope(acme.id):
        assert LedgerEntry.objects.filter(kind__startswith="agent_stop.").count() == 4


def test_a_slip_of_the_pen_stops_nobody_and_says_so(visit: Visit, acme: Tenant) -> None:
    answer = visit("operator").post(
        "/console/operations/agent-stop/on",
        {"agent": "scuot", "reason": "now"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 404
    assert "No agent is known as" in answer.content.decode()
    with tenant_scope(acme.id):
        assert not Settings.objects.get().stopped


def test_degraded_is_turned_on_the_page_and_shown_at_once(visit: Visit) -> None:
    answer = visit("operator").post(
        "/console/operations/degraded/on", {"reason": "slow"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert "Back to normal" in answer.content.decode()


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_who_may_not_turn_sees_all_and_is_offered_nothing(visit: Visit, role: str) -> None:
    client = visit(role)
    shown = html(client, "/console/operations")
    assert "Stop agents" in shown
    assert "<form class=" not in shown
    for path in ("agent-stop/on", "degraded/on", "bypass"):
        answer = client.post(f"/console/operations/{path}", {"reason": "x", "minutes": 5})
        assert answer.status_code == 403


def test_two_admins_stop_governing_on_the_page_and_an_operator_ends_it(
    visit: Visit, acme: Tenant
) -> None:
    ada, abel, otto = visit("admin", "ada"), visit("admin", "abel"), visit("operator", "otto")
    assert (
        ada.post("/console/operations/bypass", {"minutes": "61", "reason": "x"}).status_code == 400
    )
    assert (
        ada.post("/console/operations/bypass", {"minutes": "5", "reason": "x"}).status_code == 302
    )
    with tenant_scope(acme.id):
        bypass = Bypass.objects.get()
    path = f"/console/operations/bypass/{bypass.id}"
    assert "a second admin must confirm it" in html(ada, "/console/operations")
    assert "Confirm: stop governing" in html(abel, "/console/operations")
    assert otto.post(f"{path}/confirm").status_code == 403
    assert ada.post(f"{path}/confirm").status_code == 403
    assert abel.post(f"{path}/confirm").status_code == 302
    number_entries()
    bypassing.tend()
    assert "Not governed" in html(otto, "/console/")
    assert otto.post(f"{path}/end", {"reason": "over"}).status_code == 302
    assert "Not governed" not in html(otto, "/console/")


def test_another_tenants_bypass_is_not_there(visit: Visit, acme: Tenant, umbra: Tenant) -> None:
    bypass = in_force(acme)
    client = visit("admin", "olaf", umbra)
    for verb in ("confirm", "end"):
        answer = client.post(f"/console/operations/bypass/{bypass.id}/{verb}", {"reason": "x"})
        assert answer.status_code == 404


def test_the_admin_stops_agents_and_the_tenant_with_a_reason(visit: Visit, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        agent, settings = factories.agent("scout"), Settings.objects.get()
    client = visit("operator")
    for model, record in ((Agent, agent), (Settings, settings)):
        stop_it = address(model, "do", record.pk, "stop")
        assert client.post(stop_it, {"reason": ""}).status_code == 400
        assert client.post(stop_it, {"reason": "because"}).status_code == 302
        with tenant_scope(acme.id):
            record.refresh_from_db()
            assert (record.stopped, record.stopped_reason) == (True, "because")
        assert (
            client.post(address(model, "do", record.pk, "go_on"), {"reason": "y"}).status_code
            == 302
        )
        with tenant_scope(acme.id):
            record.refresh_from_db()
            assert not record.stopped


def test_the_admin_asks_for_a_bypass_and_another_confirms_it(visit: Visit, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        settings = Settings.objects.get()
    ada, abel = visit("admin", "ada"), visit("admin", "abel")
    asking = address(Settings, "do", settings.pk, "bypass")
    assert ada.post(asking, {"reason": "x", "minutes": 61}).status_code == 400
    assert ada.post(asking, {"reason": "x", "minutes": 5}).status_code == 302
    with tenant_scope(acme.id):
        bypass = Bypass.objects.get()
    confirming = address(Bypass, "do", bypass.pk, "confirm")
    ada.post(confirming, {"reason": ""})
    with tenant_scope(acme.id):
        bypass.refresh_from_db()
        assert bypass.state == "requested"
    abel.post(confirming, {"reason": ""})
    with tenant_scope(acme.id):
        bypass.refresh_from_db()
        assert bypass.state == "confirmed"


def test_an_open_page_is_told_when_the_state_changes_and_only_then(acme: Tenant) -> None:
    ada = factories.member(acme, "ada", "admin")
    member = Membership.objects.select_related("tenant").get(user=ada, tenant=acme)
    seen = feeds.Seen(0)
    assert "READY" in feeds.state(seen, member)[0]
    assert feeds.state(seen, member) == []
    seen = feeds.Seen(mark_of(standing(member)["product"]))
    assert feeds.operations(seen, member) == []
    stop(None, actor=SERVER, reason="A leak")
    assert "all stopped" in feeds.operations(seen, member)[0]
    assert feeds.operations(seen, member) == []


def test_who_runs_the_server_degrades_every_tenant_in_the_admin(visit: Visit, acme: Tenant) -> None:
    viewer = visit("viewer")
    root = superuser()
    add = "/admin/governance/servermode/add/"
    assert root.post(add, {"name": "degraded", "on": "on", "reason": ""}).status_code == 200
    assert root.post(add, {"name": "degraded", "on": "on", "reason": "moving"}).status_code == 302
    shown = html(viewer, "/console/")
    assert "DEGRADED" in shown
    assert "Degraded by who runs the server" in shown
    with tenant_scope(acme.id):
        assert LedgerEntry.objects.filter(kind="degraded.on").count() == 1
    change = "/admin/governance/servermode/degraded/change/"
    assert root.post(change, {"reason": "moved"}).status_code == 302
    assert "READY" in html(viewer, "/console/")
    assert viewer.get(change).status_code == 403


def test_a_page_that_is_drawn_outside_the_scope_does_not_say_that_all_is_well(
    acme: Tenant,
) -> None:
    vera = factories.member(acme, "vera", "viewer")
    stop(None, actor=SERVER, reason="A leak")
    member = Membership.objects.select_related("tenant").get(user=vera, tenant=acme)
    leave_tenant()
    assert standing(member)["product"].state == "STOPPED"
    assert standing(None)["product"].state == "READY"

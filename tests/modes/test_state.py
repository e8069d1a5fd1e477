"""The product's state: READY, DEGRADED or STOPPED, with every reason, from one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from governance import readiness
from governance.actors import COMMAND, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.loop import verbs as loop
from governance.models import LoopStep, Tenant
from governance.modes.degrading import set_degraded, set_degraded_everywhere
from governance.modes.product import product
from governance.modes.stopping import let_go_on, stop
from governance.readiness import Finding, Mark

from .. import factories
from ..policies.guarding import ask

Api = Callable[..., APIClient]


def test_a_new_tenant_is_ready(acme: Tenant, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        found = product()
    assert (found.state, found.reasons, found.bypass) == ("READY", [], None)


def test_what_does_not_work_degrades_and_says_so(acme: Tenant, otto: Actor) -> None:
    stop(factories.agent("scout"), actor=otto, reason="strange")
    loop.set_switch("pattern_matched", on=False, actor=otto, reason="too many")
    loop.set_switch_everywhere("loop", on=False, actor=COMMAND, reason="upgrade")
    set_degraded(on=True, actor=otto, reason="slow")
    set_degraded_everywhere(on=True, actor=COMMAND, reason="moving")
    found = product()
    assert found.state == "DEGRADED"
    assert [(reason.name, reason.subject, reason.why) for reason in found.reasons] == [
        ("degraded_everywhere", "", "moving"),
        ("degraded", "", "slow"),
        ("agent_stopped", "scout", "strange"),
        ("switch_off_everywhere", "loop", "upgrade"),
        ("switch_off", "pattern_matched", "too many"),
    ]
    assert all(reason.text for reason in found.reasons)


def test_a_loop_that_nobody_works_is_noticed(acme: Tenant) -> None:
    factories.report()
    assert product().state == "READY"
    LoopStep.objects.update(available_at="2020-01-01T00:00:00Z")
    assert [reason.name for reason in product().reasons] == ["stalled"]


def test_stopped_is_said_of_a_tenant_whose_agents_all_are(acme: Tenant, otto: Actor) -> None:
    set_degraded(on=True, actor=otto, reason="slow")
    stop(None, actor=otto, reason="A leak")
    assert product().state == "STOPPED"
    let_go_on(None, actor=otto, reason="over")
    assert product().state == "DEGRADED"


def test_of_many_stopped_agents_some_are_named_and_all_are_counted(
    acme: Tenant, otto: Actor
) -> None:
    for number in range(22):
        stop(factories.agent(f"scout-{number:02}"), actor=otto, reason="all")
    found = product()
    assert (len(found.stopped_agents), found.stopped_count) == (20, 22)


def test_the_api_tells_the_state(acme: Tenant, otto: Actor, api: Api) -> None:
    stop(factories.agent("scout"), actor=otto, reason="strange")
    stop(None, actor=otto, reason="A leak")
    set_degraded(on=True, actor=otto, reason="slow")
    client = api(factories.person_token(acme, factories.member(acme, "vera", "viewer")))
    leave_tenant()
    told = client.get("/api/v1/ops/state").json()
    assert told["state"] == "STOPPED"
    assert [reason["name"] for reason in told["reasons"]] == [
        "agent_stop",
        "degraded",
        "agent_stopped",
    ]
    assert (told["agent_stop"]["why"], told["degraded"]["why"]) == ("A leak", "slow")
    assert told["agent_stop"]["since"].startswith("20")
    assert (told["stopped_agents"], told["bypass"]) == (["scout"], None)
    assert told["readiness"]["ready"]


def test_a_closed_guard_is_a_stopped_product_and_a_warning_a_degraded_one(acme: Tenant) -> None:
    warns = Finding(Mark.WARNING, "Redis gives no answer")
    readiness.remember({"broker": warns})
    found = product()
    assert (found.state, [reason.name for reason in found.reasons]) == ("DEGRADED", ["warning"])
    assert ask().verdict == "allow"  # what is expendable changes no decision
    readiness.remember({"sweeper": Finding(Mark.FAILING, "not seen"), "broker": warns})
    found = product()
    assert found.state == "STOPPED"
    assert [(reason.name, reason.subject) for reason in found.reasons] == [
        ("not_ready", "sweeper"),
        ("warning", "broker"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_decision_asks_no_more_than_before_there_were_modes(
    django_assert_num_queries: Any,
) -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        ask()
    # The policy set, settings with modes, the run, the decision, its ledger entry, directives.
    with tenant_scope(tenant.id), django_assert_num_queries(6):
        ask()

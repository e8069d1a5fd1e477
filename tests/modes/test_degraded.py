"""degraded: no new runs, running ones go on with a warning, and everything is recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from governance.actors import COMMAND, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Run, Settings, Tenant
from governance.modes.degrading import set_degraded, set_degraded_everywhere
from governance.refusals import Invalid
from policies.models import Decision

from .. import factories
from ..policies.guarding import ask, decided, policy

Api = Callable[..., APIClient]


def test_a_running_run_goes_on_with_a_warning(acme: Tenant, otto: Actor) -> None:
    ask()
    set_degraded(on=True, actor=otto, reason="The model is slow")
    record = decided()
    assert (record.verdict, record.mode, record.would_be) == ("warn", "degraded", "allow")
    assert "The model is slow" in record.reason


def test_a_new_run_is_refused_recorded_and_let_in_later(acme: Tenant, otto: Actor) -> None:
    set_degraded(on=True, actor=otto, reason="slow")
    for _ in range(2):  # having asked once does not make it a running one
        answer = ask()
        assert (answer.verdict, answer.mode, answer.retryable) == ("block", "degraded", True)
        assert not answer.may_appeal
    assert Decision.objects.count() == 2
    set_degraded(on=False, actor=otto, reason="fast again")
    assert ask().verdict == "allow"
    assert not Run.objects.get().refused


def test_a_stricter_word_keeps_its_own_reason(acme: Tenant, otto: Actor) -> None:
    ask("another tool")
    policy("no misspelt columns")
    set_degraded(on=True, actor=otto, reason="slow")
    record = decided()
    assert (record.verdict, record.mode) == ("block", "")
    assert "no misspelt columns" in record.reason
    assert "slow" in record.reason


def test_what_happens_meanwhile_is_still_learned_from(acme: Tenant, otto: Actor) -> None:
    ask()
    set_degraded(on=True, actor=otto, reason="slow")
    record = decided()
    incident = factories.incident()
    assert not record.is_overridden
    assert incident.pk


def test_twice_is_once(acme: Tenant, otto: Actor) -> None:
    assert set_degraded(on=True, actor=otto, reason="first")
    assert not set_degraded(on=True, actor=otto, reason="second")
    assert Settings.objects.get().degraded_reason == "first"
    assert set_degraded(on=False, actor=otto, reason="over")
    assert not set_degraded(on=False, actor=otto, reason="over")
    kinds = LedgerEntry.objects.filter(kind__startswith="degraded").order_by("id")
    assert [entry.kind for entry in kinds] == ["degraded.on", "degraded.off"]
    with pytest.raises(Invalid):
        set_degraded(on=True, actor=otto, reason=" ")


def test_who_runs_the_server_degrades_every_tenant(acme: Tenant, umbra: Tenant) -> None:
    leave_tenant()
    assert set_degraded_everywhere(on=True, actor=COMMAND, reason="moving house")
    assert not set_degraded_everywhere(on=True, actor=COMMAND, reason="moving house")
    for tenant in (acme, umbra):
        with tenant_scope(tenant.id):
            assert ask().verdict == "block"
            assert LedgerEntry.objects.filter(kind="degraded.on").count() == 1
    assert set_degraded_everywhere(on=False, actor=COMMAND, reason="moved")
    for tenant in (acme, umbra):
        with tenant_scope(tenant.id):
            assert ask().verdict == "allow"


def test_an_operator_says_so_over_http_and_others_do_not(acme: Tenant, api: Api) -> None:
    otto = api(factories.person_token(acme, factories.member(acme, "otto", "operator")))
    vera = api(factories.person_token(acme, factories.member(acme, "vera", "reviewer")))
    agent = api(factories.agent_token(acme))
    leave_tenant()
    body = {"on": True, "reason": "slow"}
    for client in (vera, agent):
        assert client.post("/api/v1/ops/degraded", body).status_code == 403
    told = otto.post("/api/v1/ops/degraded", body).json()
    assert (told["state"], told["degraded"]["why"]) == ("DEGRADED", "slow")
    assert otto.post("/api/v1/ops/degraded", {"on": True}).status_code == 400
    back = otto.post("/api/v1/ops/degraded", {"on": False, "reason": "fast"})
    assert back.json()["state"] == "READY"

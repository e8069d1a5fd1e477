"""Every failure mode under every way to fail does what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from config.conditions import page
from governance.database.tenancy import tenant_scope
from governance.models import LedgerEntry, Tenant
from policies.models import Decision, Policy
from policies.rules import failures
from policies.rules.failures import FAILURES, Becomes, Failure
from policies.services import policy_set, ruleset
from tests import factories
from tests.holding import held

from .guarding import policy

BOTH = [False, True]
ASKED: dict[str, Any] = {
    "agent_id": "scout",
    "run_id": "r",
    "action": {"tool": "pay", "arguments": {"amount": "many", "ids": list(range(10_001))}},
}
# What a policy must say to fail in this way; the last two are no policy's affair.
CONDITIONS = {
    failures.MISSING.name: 'model.name == "large"',
    failures.WRONG.name: "arguments.amount > 100",
    failures.BUDGET.name: "arguments.ids.exists(id, id == -1)",
    failures.BROKEN.name: "arguments.amount ===",
    failures.UNREADABLE.name: "false",
    failures.SLOW.name: "false",
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    ruleset.forget()


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


@pytest.fixture
def agent(tenant: Tenant, api: Callable[..., APIClient]) -> APIClient:
    return api(factories.agent_token(tenant))


@contextmanager
def locked(monkeypatch: pytest.MonkeyPatch, *tables: str) -> Iterator[None]:
    """Somebody holds these tables, and the guard has as long as in production."""
    with held(*tables), monkeypatch.context() as place:
        place.setattr(settings, "SPINE_MILLISECONDS", 250)
        yield


def broken(
    failure: Failure, rule: Policy, place: pytest.MonkeyPatch
) -> AbstractContextManager[None]:
    """What is out of order while the agent asks."""
    if failure is failures.SLOW:
        return locked(place, "policies_policy", "policies_decision")
    if failure is failures.UNREADABLE:
        Policy.objects.filter(pk=rule.pk).update(action="explode")
        policy_set.bump([rule])
    return nullcontext()


@pytest.mark.parametrize("fails_open", BOTH, ids=["fail_closed", "fail_open"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
@pytest.mark.django_db(transaction=True)
def test_what_the_page_says_is_what_happens(
    tenant: Tenant,
    agent: APIClient,
    monkeypatch: pytest.MonkeyPatch,
    failure: Failure,
    fails_open: bool,
) -> None:
    with tenant_scope(tenant.id):
        rule = policy(
            tool="",
            condition=CONDITIONS[failure.name],
            failure_mode="fail_open" if fails_open else "fail_closed",
            action="escalate",
        )
        out_of_order = broken(failure, rule, monkeypatch)
    with out_of_order:
        answer = agent.post("/api/v1/guard/decisions", ASKED)
    with tenant_scope(tenant.id):
        record = Decision.objects.first()
        assert _became(answer, record) is failure.becomes(fails_open=fails_open), answer.json()
        if record is not None and failure.becomes(fails_open=fails_open) is Becomes.PASSES:
            entry = json.loads(bytes(LedgerEntry.objects.get(subject=record.id).body))
            assert entry["facts"]["failed_open"] == [rule.id]
    if answer.json()["verdict"] != "allow":
        assert answer.json().get("retryable", True) is failure.retryable
    with tenant_scope(tenant.id):
        Policy.objects.filter(pk=rule.pk).update(state="retired", action="block")
        policy_set.bump([rule])
    assert agent.post("/api/v1/guard/decisions", ASKED).json()["verdict"] == "allow"


@pytest.mark.django_db(transaction=True)
def test_policies_that_somebody_holds_let_nothing_through(
    tenant: Tenant, agent: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is over when it is known that they cannot be read: a denial may be recorded in what is left, or not."""
    with tenant_scope(tenant.id):
        policy(tool="", condition="false")
    with locked(monkeypatch, "policies_policy"):
        answer = agent.post("/api/v1/guard/decisions", ASKED).json()
    with tenant_scope(tenant.id):
        assert {answer["verdict"], *Decision.objects.values_list("verdict", flat=True)} == {"block"}


def test_the_page_on_conditions_says_it() -> None:
    written = page()
    for failure in FAILURES:
        row = f"| {failure.title} | {failure.example} | {failure.closed} | {failure.open} |"
        assert row in written
    for moment in Policy.BindAt:
        assert f"`bind_at: {moment}`" in written


def _became(answer: Any, record: Decision | None) -> Becomes | None:
    """What the page would call this answer."""
    said = answer.json()
    if answer.status_code == 503:
        assert (said["verdict"], record) == ("block", None)
        return Becomes.UNANSWERED
    assert record is not None
    assert record.verdict == said["verdict"]
    if said["verdict"] == "allow":
        return Becomes.PASSES
    if said["policies"]:
        assert said["verdict"] == "escalate"
        return Becomes.MET
    assert said["reason"].startswith("governance_unavailable")
    return Becomes.DENIED


@pytest.mark.parametrize("name", [name for name in CONDITIONS if CONDITIONS[name] != "false"])
@pytest.mark.django_db(transaction=True)
def test_a_watching_policy_that_cannot_tell_says_nothing(
    tenant: Tenant, agent: APIClient, name: str
) -> None:
    with tenant_scope(tenant.id):
        policy(tool="", condition=CONDITIONS[name], state="shadow")
    assert agent.post("/api/v1/guard/decisions", ASKED).json()["verdict"] == "allow"
    with tenant_scope(tenant.id):
        assert Decision.objects.get().would_block == []


def test_every_way_to_fail_is_tried() -> None:
    assert CONDITIONS.keys() == {failure.name for failure in FAILURES}
    assert failures.MEANING.keys() == set(Becomes)

"""How an action went is kept once: a success judges, a failure opens an incident."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from governance.database.tenancy import tenant_scope
from governance.models import LedgerEntry, LoopTrace, Tenant
from incidents.models import Incident
from policies.models import Decision, Outcome, WouldBlock
from policies.services import guard
from policies.services.outcomes import OutcomeConflict, category_of, microdollars
from tests import factories
from tests.factories import SCOUT

from .guarding import ARGUMENTS, decided, policy

FAILED = {
    "ok": False,
    "error_type": "OperationalError",
    "error_message": "no such column: custmer_id",
}


def report(decision: Decision, **details: Any) -> Incident | None:
    return guard.report_outcome(decision, **{"ok": True, "actor": SCOUT, **details})


def test_a_success_is_kept_as_evidence(acme: Tenant) -> None:
    decision = decided()
    assert report(decision, latency_ms=12, cost_usd=Decimal("0.0123456")) is None
    kept = Outcome.objects.get()
    assert (kept.decision_id, kept.tool, kept.ok) == (decision.id, "sql_query", True)
    assert (kept.latency_ms, kept.cost_microusd) == (12, 12_346)
    assert LedgerEntry.objects.filter(kind="outcome.ok", subject=kept.id).count() == 1
    assert not Incident.objects.exists()


def test_a_failure_opens_an_incident_that_remembers_the_call(acme: Tenant) -> None:
    decision = decided(context={"task": 3})
    incident = report(decision, **FAILED)
    assert incident is not None
    assert (incident.error_type, incident.message) == (
        "OperationalError",
        "no such column: custmer_id",
    )
    assert (incident.tool, incident.arguments, incident.context) == (
        "sql_query",
        ARGUMENTS,
        {"task": 3},
    )
    assert (incident.agent_id, incident.run_id) == (decision.agent_id, decision.run_id)
    assert (incident.source, incident.source_key) == ("guard", decision.id)
    assert LoopTrace.objects.filter(incident_id=incident.id).count() == 1
    assert Outcome.objects.get().incident_id == incident.id


def test_the_same_report_again_answers_the_same(acme: Tenant) -> None:
    decision = decided()
    first = report(decision, **FAILED)
    assert report(decision, **FAILED) == first
    assert (Outcome.objects.count(), Incident.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"ok": True},
        {**FAILED, "error_message": "another"},
        {**FAILED, "latency_ms": 1},
        {**FAILED, "cost_usd": 1.0},
    ],
)
def test_another_report_about_the_same_decision_is_a_conflict(
    acme: Tenant, other: dict[str, Any]
) -> None:
    decision = decided()
    report(decision, **FAILED)
    with pytest.raises(OutcomeConflict):
        report(decision, **other)
    assert (Outcome.objects.count(), Incident.objects.count()) == (1, 1)


@pytest.mark.parametrize("action", ["block", "kill", "escalate", "route_away"])
def test_what_was_denied_cannot_have_had_an_outcome(acme: Tenant, action: str) -> None:
    policy(action=action)
    with pytest.raises(OutcomeConflict):
        report(decided(), **FAILED)
    assert not Incident.objects.exists()


def test_what_was_allowed_with_a_warning_has_one(acme: Tenant) -> None:
    policy(action="warn")
    assert report(decided(), **FAILED) is not None


def test_a_success_is_a_false_rejection_of_the_policy_that_would_have_blocked(acme: Tenant) -> None:
    rule = policy(state="shadow")
    report(decided())
    assert WouldBlock.objects.get(policy=rule).result == WouldBlock.Result.FALSE_REJECTION


@pytest.mark.django_db(transaction=True)
def test_of_two_different_reports_at_once_one_is_kept() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        decision = decided()
    together = threading.Barrier(2)
    ended: list[str] = []

    def tell(details: dict[str, Any]) -> None:
        try:
            with tenant_scope(tenant.id):
                together.wait(timeout=10)
                report(decision, **details)
            ended.append("kept")
        except OutcomeConflict:
            ended.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=tell, args=[details]) for details in ({"ok": True}, FAILED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["conflict", "kept"]
    with tenant_scope(tenant.id):
        kept = Outcome.objects.get()
        assert Incident.objects.count() == (0 if kept.ok else 1)


@pytest.mark.parametrize(
    ("error_type", "category"),
    [
        ("OperationalError", "execution_failure"),
        ("KeyError", "execution_failure"),
        ("TimeoutError", "operational"),
        ("ReadTimeout", "operational"),
        ("APITimeoutError", "operational"),
        ("ConnectionRefusedError", "operational"),
        ("http_503", "operational"),
        ("ServiceUnavailable", "operational"),
        ("RateLimitError", "rate_limit"),
        ("rate_limit_exceeded", "rate_limit"),
        ("TooManyRequests", "rate_limit"),
        ("ThrottledException", "rate_limit"),
        ("context_length_exceeded", "token_limit"),
        ("TokenLimitExceeded", "token_limit"),
        ("BudgetExceededError", "budget_exceeded"),
        ("insufficient_quota", "budget_exceeded"),
        ("ContentPolicyViolationError", "content_policy"),
        ("content_filter", "content_policy"),
        ("PIIDetected", "pii_detected"),
        ("ApiInvalidError", "execution_failure"),
        ("TokenExpired", "execution_failure"),
        ("HallucinationDetected", "hallucination"),
        ("SafetyViolation", "safety_violation"),
        ("", "execution_failure"),
        ("🙂", "execution_failure"),
    ],
)
def test_an_errors_name_says_what_kind_it_is(error_type: str, category: str) -> None:
    assert category_of(error_type) == category


@pytest.mark.parametrize(
    ("dollars", "millionths"),
    [
        (None, None),
        (0, 0),
        (1, 1_000_000),
        (0.1, 100_000),
        (1e-7, 0),
        (Decimal("0.0000015"), 2),
        (Decimal("999999.999999"), 999_999_999_999),
    ],
)
def test_money_is_whole_millionths(dollars: Any, millionths: int | None) -> None:
    assert microdollars(dollars) == millionths

"""What the product is raced on: a tenant whose agent fails in a way that is known, answered and governed.

Made by the product's own verbs: a first failure opens the pattern, a person writes a template for it and trusts it,
and the second failure, while nobody is asked, goes all the way to an active policy and its adjustment. Every later
failure of the kind then crosses all five bridges by itself: matched, recovery applied, evidence for the policy,
evidence for the adjustment, story closed.
"""

from __future__ import annotations

from typing import Any

from catalog.models import Pattern
from catalog.services import set_auto_apply
from governance import tenants
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.identity import register_agent
from governance.loop.run import run_ready
from governance.models import Checkpoint, LoopTrace, Tenant, User
from incidents import services as incidents
from policies.models import Decision, Evidence
from policies.services import guard
from recovery.actions import ActionKind
from recovery.models import Recovery
from recovery.services import make_template
from routing.models import AdjustmentEvidence

from .race import BenchError

SCOUT = Actor("service", "acc_scout", "scout")
TOOL = "book_reservation"
PER_TRANSACTION = 100
_ASKED_OF_NOBODY = [Checkpoint.Type.APPROVE_RECOVERY.value, Checkpoint.Type.APPROVE_POLICY.value]


def make(slug: str = "bench") -> Tenant:
    """The tenant, with its pattern, template, active policy and open adjustment. Raises BenchError."""
    tenant = tenants.make_tenant(slug, confirmations=1, checkpoints_off=_ASKED_OF_NOBODY)
    report_many(tenant.id, 1, 1, series="scene")
    run_ready()
    rita = _reviewer(tenant)
    with tenant_scope(tenant.id):
        pattern = Pattern.objects.get()
        make_template(
            pattern,
            name="Add the amounts up first",
            kind=ActionKind.PRE_CHECK,
            params={"check": "Add the payments up: they must equal the total price."},
            declared_confidence=0.95,
            actor=rita,
        )
        set_auto_apply(
            pattern, True, actor=rita, reason="The bench starts from a trusted recovery."
        )
    report_many(tenant.id, 2, 1, series="scene")
    run_ready()
    with tenant_scope(tenant.id):
        tenants.change_settings(
            actor=rita, reason="From here on people are asked.", checkpoints_off=[]
        )
    report_many(tenant.id, 3, 1, series="scene")
    run_ready()
    _check(tenant)
    return tenant


def _reviewer(tenant: Tenant) -> Actor:
    user = User.objects.create_user("rita", is_staff=True)
    tenants.add_member(tenant, user, "reviewer")
    return Actor("user", str(user.pk), "rita")


def _check(tenant: Tenant) -> None:
    """Every bridge must be crossed, or the race would be about something else."""
    with tenant_scope(tenant.id):
        last = LoopTrace.objects.latest("started_at")
        applied = Recovery.objects.filter(
            match__incident_id=last.incident_id, automatic=True, state="applied"
        ).count()
        evidence = Evidence.objects.filter(
            incident_id=last.incident_id, policy__state="active"
        ).count()
        adjusted = AdjustmentEvidence.objects.filter(incident_id=last.incident_id).count()
    if (last.state, applied, evidence, adjusted) != (LoopTrace.State.COMPLETE, 1, 1, 1):
        raise BenchError(
            f"The scene is not set: the last loop is {last.state} at {last.stage} {last.failure_state},"
            f" with {applied} recoveries applied, {evidence} evidence and {adjusted} adjustments."
        )


def report_many(tenant_id: str, first: int, count: int, *, series: str) -> None:
    """Report the failures of a series numbered from ``first``, several to a transaction.

    The same series and number is the same incident, however often it is reported.
    """
    for start in range(first, first + count, PER_TRANSACTION):
        with tenant_scope(tenant_id):
            agent = register_agent("scout", actor=SCOUT)
            for number in range(start, min(start + PER_TRANSACTION, first + count)):
                incidents.report(agent=agent, actor=SCOUT, **failure(number, series))


def make_call() -> Decision:
    """One call of the tool that the guard allows and that goes well, in the tenant in scope."""
    arguments = {
        "user_id": "rosa_khan_1184",
        "cabin": "business",
        "payments": [],
        "insurance": "yes",
    }
    answer = guard.decide(
        agent_name="scout",
        run_name="run-0",
        step=1,
        kind=Decision.Kind.TOOL_CALL,
        tool=TOOL,
        arguments=arguments,
        context={},
        actor=SCOUT,
    )
    decision = Decision.objects.get(id=answer.decision_id)
    guard.report_outcome(decision, ok=True, latency_ms=120, actor=SCOUT)
    return decision


def failure(number: int, series: str) -> dict[str, Any]:
    """One failure of the kind: an agent that makes the same wrong call again and again."""
    return {
        "error_type": "ValueError",
        "tool": TOOL,
        "message": f"payment amount does not add up, total price is {200 + number % 700}, but paid 187",
        "arguments": {
            "user_id": "avery_lopez_6731",
            "cabin": "economy",
            "passengers": [{"name": "Avery Lopez", "dob": "1990-01-01"}],
            "payments": [{"method": "credit_card", "amount": 187}],
            "insurance": "no",
        },
        "context": {"task": f"task-{number}"},
        "source": "bench",
        "source_key": f"{series}-{number}",
    }

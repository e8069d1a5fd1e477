"""Preventions: failures stopped because a policy remembered them."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.models import Pattern
from governance import ledger
from governance.actors import GUARD, Actor
from governance.story.events import tell
from incidents.models import Incident
from policies.models import Decision, Policy, Prevention
from policies.rules import call_similarity, counts_as_prevention

from .ruleset import Rule, Ruleset


def record(decision: Decision, blockers: Sequence[Rule], ruleset: Ruleset) -> Prevention | None:
    """Count a denied decision as a prevention if it meets the contract: once, for the first blocker that does.

    Call it in the decision's transaction, with the active policies that recognised and deny the call, the
    deciding one first. It is told on the story that bore the policy.
    """
    for rule in blockers:
        similarity = _similarity(decision, rule, ruleset)
        if counts_as_prevention(
            policy_state=Policy.State.ACTIVE if rule.is_active else "",
            policy_tenant_id=ruleset.tenant_id,
            decision_tenant_id=decision.tenant_id,
            similarity=similarity,
            has_incident=False,  # the decision is new, and a denied one can never have an outcome
            is_in_decision=True,
            is_simulated=decision.simulated,
        ):
            return _write(decision, rule, similarity)
    return None


def simulate_prevention(
    policy: Policy, *, pattern: Pattern, incident: Incident, confidence: float, actor: Actor
) -> Prevention:
    """Store a prevention that did not happen, to try out what follows from one. It never counts."""
    prevention = Prevention.objects.create(
        policy=policy,
        pattern=pattern,
        original_incident=incident,
        similarity=confidence,
        simulated=True,
    )
    if policy.trace_id:
        tell(
            policy.trace_id,
            "prevention",
            f"Simulated: prevented by {policy.name}",
            actor=actor,
            subject=prevention.id,
            details={"policy_id": policy.id, "pattern_id": pattern.id, "similarity": confidence},
            simulated=True,
        )
    ledger.append("prevention.simulated", prevention.id, actor=actor, policy=policy.id)
    return prevention


def _similarity(decision: Decision, rule: Rule, ruleset: Ruleset) -> float:
    if rule.pattern_id is None:
        return 0.0
    calls = ruleset.calls_of(rule.pattern_id, decision.tool)
    return call_similarity(decision.tool, decision.arguments, calls)


def _write(decision: Decision, rule: Rule, similarity: float) -> Prevention:
    prevention = Prevention.objects.create(
        policy_id=rule.id,
        pattern_id=rule.pattern_id,
        decision=decision,
        original_incident_id=rule.incident_id,
        similarity=similarity,
    )
    if rule.trace_id:
        tell(
            rule.trace_id,
            "prevention",
            f"Prevented: {decision.agent.name} was about to call {decision.tool or decision.kind} in a way that failed before",
            actor=GUARD,
            subject=prevention.id,
            details={
                "policy_id": rule.id,
                "decision_id": decision.id,
                "agent": decision.agent.name,
                "tool": decision.tool,
                "similarity": round(similarity, 4),
            },
        )
    ledger.append(
        "prevention.recorded", prevention.id, actor=GUARD, policy=rule.id, decision=decision.id
    )
    return prevention

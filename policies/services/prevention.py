"""Preventions: failures stopped because a policy remembered them, and how often that is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, Max, OuterRef

from catalog.models import Pattern, PatternMatch
from governance import ledger
from governance.actors import GUARD, Actor
from governance.story.events import tell
from incidents.models import Incident
from policies.models import Decision, Outcome, Policy, Prevention, Regret
from policies.rules import (
    RATE_WINDOW,
    call_similarity,
    counts_as_prevention,
    prevention_rate,
    regret_rate,
)

from .ruleset import Rule, Ruleset


@dataclass(frozen=True, slots=True)
class Rates:
    """What 30 days came to, without anything simulated. A rate is 0 to 1, or None where nothing happened."""

    preventions: int
    incidents: int
    """Of patterns that had an active policy when they occurred: those that it did not stop."""
    regrets: int
    last_prevention_at: datetime | None
    """Ever, not only in these days."""

    @property
    def prevention_rate(self) -> float | None:
        return prevention_rate(self.preventions, self.incidents)

    @property
    def regret_rate(self) -> float | None:
        return regret_rate(self.regrets, self.preventions)


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


def rates(now: datetime) -> Rates:
    """The tenant's preventions and regrets of the 30 days before ``now``."""
    since = now - RATE_WINDOW
    real = Prevention.objects.filter(simulated=False)
    return Rates(
        preventions=real.filter(created_at__gte=since).count(),
        incidents=_incidents_in_spite_of_a_policy(since),
        regrets=Regret.objects.filter(simulated=False, created_at__gte=since).count(),
        last_prevention_at=real.aggregate(last=Max("created_at"))["last"],
    )


def _incidents_in_spite_of_a_policy(since: datetime) -> int:
    # Those before the policy was active are what it was made from: nothing could have prevented them. Nor could it
    # prevent what a bypass let through.
    overridden = Outcome.objects.filter(incident=OuterRef("incident"), overridden=True)
    return (
        PatternMatch.objects.filter(
            ~Exists(overridden),
            incident__simulated=False,
            incident__occurred_at__gte=since,
            pattern__policies__state=Policy.State.ACTIVE,
            pattern__policies__simulated=False,
            pattern__policies__state_since__lte=F("incident__occurred_at"),
        )
        .values("incident_id")
        .distinct()
        .count()
    )


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

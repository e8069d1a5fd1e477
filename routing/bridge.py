"""The fourth bridge: an active policy adjusts where calls go; until it is active the loop waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet

from catalog.models import PatternMatch
from governance.actors import Actor
from governance.database.compiled import compiled
from governance.database.scoped import IN_SCOPE
from governance.loop.bridges import GoOn, Outcome, Stop, Wait, Work
from governance.models import FailureState
from incidents.models import Incident
from policies.models import Policy

from . import services
from .rules import DECAY, AdjustmentType
from .services import Adjusted, HeldBack, Need, Overruled, Regressed, Result, Unmoved

# What a stage that lands again must remember of itself; the names are this bridge's own.
OVERRIDE = "override_id"
REGRESSION = "regressed_adjustment_id"

# A policy keeps its story in large columns that nobody here reads.
_UNREAD = ("condition", "explanation", "backtest")

# Those that no loop waits for.
_SETTLED = frozenset({Policy.State.ACTIVE, Policy.State.RETIRED})
_IN_STATE: dict[str, str] = {
    Policy.State.DRAFT: "a draft",
    Policy.State.SHADOW: "in shadow",
    Policy.State.PENDING: "waiting for approval",
    Policy.State.SUSPENDED: "suspended",
}


def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
    """Adjust for the works whose policy is active; the others wait for it, or stop with it."""
    policies = _policies(works)
    incidents = _incidents(works)
    outcomes: dict[str, Outcome] = {}
    needs: dict[str, Need] = {}
    for work in works:
        policy = policies.get(work.facts.get("policy_id", ""))
        if policy is not None and policy.state == Policy.State.ACTIVE:
            needs[work.step_id] = _need(work, incidents[work.incident_id], policy)
        else:
            outcomes[work.step_id] = _not_in_force(policy)
    results = services.adjust_routing(list(needs.values()))
    outcomes |= {step_id: _outcome(result) for step_id, result in zip(needs, results, strict=True)}
    return outcomes


def undo(incident_id: str, trace_id: str, actor: Actor, reason: str) -> None:
    """Withdraw the adjustments that only this incident supports."""
    services.revert_adjustments(incident_id, actor=actor, reason=reason)


def _need(work: Work, incident: Incident, policy: Policy) -> Need:
    return Need(
        incident,
        policy,
        work.trace_id,
        override_id=work.facts.get(OVERRIDE) or "",
        accepts=work.facts.get(REGRESSION) or "",
        gesture=work.gesture,
    )


def _policies(works: Sequence[Work]) -> dict[str, Policy]:
    """The policies of a batch; those that are not in force yet are read again and held.

    Held, so that whoever activates one waits for us and then finds the steps that wait for it.
    """
    at_hand = [policy for work in works if (policy := work.at_hand(Policy))]
    found: dict[str, Policy] = {policy.id: policy for policy in at_hand}
    named = {work.facts["policy_id"] for work in works if work.facts.get("policy_id")}
    if away := named - found.keys():
        found |= {policy.id: policy for policy in _known(list(away))}
    idle = [policy.id for policy in found.values() if policy.state not in _SETTLED]
    if idle:
        held = Policy.objects.raw(
            "SELECT * FROM policies_policy WHERE id = ANY(%s) AND tenant_id = %s ORDER BY id FOR SHARE",
            [idle, IN_SCOPE],
        )
        found |= {policy.id: policy for policy in held}
    return found


def _incidents(works: Sequence[Work]) -> dict[str, Incident]:
    matches = [match for work in works if (match := work.at_hand(PatternMatch))]
    found = {match.incident_id: match.incident for match in matches}
    if away := {work.incident_id for work in works} - found.keys():
        found |= {incident.id: incident for incident in _failed(list(away))}
    return found


@compiled
def _known(ids: Sequence[str]) -> QuerySet[Policy]:
    return Policy.objects.defer(*_UNREAD).filter(id__any=ids).order_by()


@compiled
def _failed(ids: Sequence[str]) -> QuerySet[Incident]:
    wanted = Incident.objects.select_related("agent").only("tool", "agent__name")
    return wanted.filter(id__any=ids).order_by()


def _not_in_force(policy: Policy | None) -> Outcome:
    match policy:
        case None:
            return Stop(
                FailureState.POLICY_LOW_CONFIDENCE, "No policy came of it: nothing to route by"
            )
        case Policy(state=Policy.State.RETIRED):
            return Stop(
                FailureState.POLICY_REJECTED,
                f"{policy.name} was retired: nothing to route by",
                policy.id,
            )
        case _:
            return Wait(
                FailureState.POLICY_SHADOW_MODE,
                policy.id,
                f"Waits until {policy.name} is active; it is {_IN_STATE[policy.state]}",
                policy.id,
            )


def _outcome(result: Result) -> Outcome:
    match result:
        case Unmoved():
            return GoOn("Nothing to route: the policy leaves routing alone")
        case Adjusted():
            return _adjusted(result)
        case HeldBack():
            return _held_back(result)
        case Overruled(question):
            return Stop(
                FailureState.HUMAN_CHECKPOINT_REJECTED,
                f"Routing stays as it is: lifting the limit was {question.state}",
                question.id,
                # A person who tries again asks anew.
                facts={OVERRIDE: None},
            )
        case Regressed(adjustment, proposal):
            return Stop(
                FailureState.ROUTING_KPI_REGRESSION,
                f"Left alone: {adjustment.reason or 'the success rate fell'} after the last time that the {proposal}",
                adjustment.id,
                facts={REGRESSION: adjustment.id},
            )


def _adjusted(result: Adjusted) -> GoOn:
    made = result.adjustment
    # What is in force may be of an earlier confidence than what would be asked for now.
    change = str(replace(result.proposal, type=AdjustmentType(made.type), magnitude=made.magnitude))
    if result.is_new:
        headline = f"{change[0].upper()}{change[1:]} for {DECAY.days} days"
    else:
        headline = f"Supports what is in force until {made.ends_at:%d %b}: {change}"
    return GoOn(headline, made.id, facts={"adjustment_id": made.id})


def _held_back(result: HeldBack) -> Outcome:
    verdict, question = result.verdict, result.question
    retry = f"; possible again at {verdict.retry_at:%H:%M} UTC" if verdict.retry_at else ""
    headline = f"Held back: {verdict.explanation}{retry}"
    if question is not None and question.blocking:
        facts: dict[str, Any] = {OVERRIDE: question.id}
        return Wait(
            FailureState.ROUTING_GUARDRAIL_BLOCKED, question.id, headline, question.id, facts
        )
    return GoOn(
        headline,
        question.id if question else "",
        failure_state=FailureState.ROUTING_GUARDRAIL_BLOCKED,
    )

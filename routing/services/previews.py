"""What a policy would do to routing, shown to a person before it is let loose."""

from __future__ import annotations

from typing import Any

from governance import checkpoints, ledger
from governance.actors import Actor
from governance.models import Agent, Checkpoint
from incidents.models import Incident
from policies.models import Evidence, Policy

from .. import dispatch
from ..models import Adjustment
from .guardrails import Limits
from .proposals import Proposal, propose

PREVIEW = Checkpoint.Type.SIMULATE_ROUTING
MOST_SHOWN = 100


def preview(policy: Policy) -> dict[str, Any]:
    """What the policy would adjust if it were active, for each agent and tool of the incidents behind it.

    Writes nothing. Weights are as they are now, 0 to 1; at most 100 adjustments are shown and ``more`` says
    whether there are others.
    """
    limits = Limits.load()
    proposals = _proposals(policy)
    return {
        "policy_id": policy.id,
        "policy": policy.name,
        "version": policy.version,
        "action": policy.action,
        "confidence": policy.confidence,
        "adjustments": [_foreseen(proposal, limits) for proposal in proposals[:MOST_SHOWN]],
        "more": len(proposals) > MOST_SHOWN,
    }


def ask_preview(policy: Policy, *, actor: Actor) -> Checkpoint | None:
    """Ask a person to look at the preview; an earlier question about it is void. None where nobody is asked."""
    if not checkpoints.is_asked(PREVIEW):
        return None
    checkpoints.withdraw(policy.id, actor=actor, reason="A newer preview is there.", type=PREVIEW)
    return checkpoints.ask(
        PREVIEW,
        subject=policy.id,
        title=f"What {policy.name} would do to routing",
        shown=preview(policy),
        requested_by=actor,
        trace_id=policy.trace_id,
        confidence=policy.confidence,
    )


def decided_preview(checkpoint: Checkpoint, actor: Actor) -> None:
    """Keep with the policy that somebody looked at its preview; approved means that it was found fine."""
    ledger.append(
        f"routing.preview_{checkpoint.state}",
        checkpoint.subject,
        actor=actor,
        reason=checkpoint.reason,
        checkpoint=checkpoint.id,
        digest=checkpoint.digest,
    )


def _proposals(policy: Policy) -> list[Proposal]:
    evidence = Evidence.objects.filter(policy=policy, incident__isnull=False)
    withdrawn = evidence.filter(withdraws=True).values("incident_id")
    behind = evidence.filter(withdraws=False).exclude(incident_id__in=withdrawn)
    pairs = (
        Incident.objects.filter(id__in=behind.values("incident_id"))
        .order_by("agent__name", "tool")
        .values_list("agent_id", "tool")
        .distinct()
    )
    # One more than is shown tells whether there are others.
    found = list(pairs[: MOST_SHOWN + 1])
    agents = Agent.objects.in_bulk({agent_id for agent_id, _ in found})
    wanted = (propose(policy, agents[agent_id], tool) for agent_id, tool in found)
    return list({proposal.key: proposal for proposal in wanted if proposal}.values())


def _foreseen(proposal: Proposal, limits: Limits) -> dict[str, Any]:
    read = dispatch.escalation if proposal.is_escalation else dispatch.weight
    now = read(proposal.agent, proposal.capability, limits.now)
    policy_id, agent_id, capability = proposal.key
    is_open = (
        Adjustment.objects.counting()
        .filter(policy_id=policy_id, agent_id=agent_id, capability=capability)
        .exists()
    )
    verdict = limits.verdict(proposal)
    return {
        "agent_id": agent_id,
        "agent": proposal.agent.name,
        "capability": capability,
        "type": str(proposal.type),
        "magnitude": proposal.magnitude,
        "now": now,
        "then": now if is_open else min(1.0, max(0.0, now + proposal.magnitude)),
        "is_open": is_open,
        "held_back": "" if is_open or verdict.is_allowed else verdict.explanation,
    }

"""Regret: harm that a policy did, who says so, and when it costs the policy its force."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from governance import ledger
from governance.actors import GUARD, Actor
from governance.models import Agent, Checkpoint
from governance.refusals import Invalid
from governance.story.events import tell
from policies import rules
from policies.models import Decision, Policy, Regret

from . import life

UPHELD_SEVERITY = 6
"""Of an upheld appeal: weight 3.0, so two demote, or one together with the report of the agent that appealed."""


@transaction.atomic
def report(
    policy: Policy,
    *,
    severity: int,
    type: str = Regret.Type.OTHER,
    description: str = "",
    decision: Decision | None = None,
    agent: Agent | None = None,
    actor: Actor,
    simulated: bool = False,
) -> Regret:
    """Keep that somebody says a policy did harm, severity 1 to 10; an active policy with too much of it is demoted.

    Raises Invalid for a decision that the policy had no part in. Simulated reports are weighed apart and never
    change the policy.
    """
    if decision is not None and all(one["id"] != policy.id for one in decision.policies):
        raise Invalid("This policy had no part in that decision.", field="decision_id")
    # Two reports at once must see each other, or neither would find that it was one too many.
    life.lock(policy)
    regret = Regret.objects.create(
        policy=policy,
        decision=decision,
        agent=agent or (decision.agent if decision else None),
        type=type,
        severity=severity,
        description=description,
        reporter=str(actor),
        simulated=simulated,
    )
    ledger.append(
        "regret.reported",
        regret.id,
        actor=actor,
        policy=policy.id,
        severity=severity,
        type=str(type),
        simulated=simulated,
    )
    _tell(policy, "regret", f"Harm {severity} of 10 by {policy.name}", regret, actor)
    _weigh(policy, regret)
    return regret


def score(policy: Policy) -> float:
    """What the real reports on a policy come to now; it is demoted at 5.0."""
    return rules.regret_score(_reports(policy, simulated=False), timezone.now())


def uphold_appeal(checkpoint: Checkpoint, actor: Actor) -> None:
    """An upheld appeal is a regret, by the reviewer, of every policy that denied the action."""
    if checkpoint.state != Checkpoint.State.APPROVED:
        return
    decision = Decision.objects.select_related("agent").get(pk=checkpoint.subject)
    denied_by = [one["id"] for one in decision.policies if one["action"] == decision.verdict]
    for policy in Policy.objects.filter(id__in=denied_by).order_by("id"):
        report(
            policy,
            severity=UPHELD_SEVERITY,
            type=Regret.Type.APPEAL_UPHELD,
            description=checkpoint.reason,
            decision=decision,
            actor=actor,
        )


def _weigh(policy: Policy, regret: Regret) -> None:
    """Demote an active policy when its reports come to too much."""
    if policy.state != Policy.State.ACTIVE:
        return
    now = timezone.now()
    reports = _reports(policy, simulated=regret.simulated)
    if not rules.should_demote(reports, now):
        return
    counted = rules.counted(reports)
    reason = f"Regret of {rules.regret_score(reports, now):.1f} from {len(counted)} reports."
    if not regret.simulated:
        life.demote(policy, actor=GUARD, reason=reason)
    _tell(policy, "demotion", f"Demoted to shadow: {policy.name}", regret, GUARD, reason)


def _reports(policy: Policy, *, simulated: bool) -> list[rules.Regret]:
    """The reports since the policy last came into force: what it was demoted for before is paid."""
    rows = Regret.objects.filter(
        policy=policy, simulated=simulated, created_at__gte=policy.state_since
    )
    return [
        rules.Regret(
            row.severity, row.reporter, row.created_at, not row.reporter.startswith("user:")
        )
        for row in rows
    ]


def _tell(
    policy: Policy, type: str, headline: str, regret: Regret, actor: Actor, reason: str = ""
) -> None:
    if policy.trace_id:
        tell(
            policy.trace_id,
            type,
            headline,
            actor=actor,
            subject=policy.id,
            details={
                "policy_id": policy.id,
                "regret_id": regret.id,
                "severity": regret.severity,
                "type": regret.type,
                "reason": reason,
            },
            simulated=regret.simulated or policy.simulated,
        )

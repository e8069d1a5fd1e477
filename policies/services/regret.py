"""Regret: harm that a policy did, who says so, and when it costs the policy its force."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from governance import ledger
from governance.actors import GUARD, Actor
from governance.models import Checkpoint
from governance.refusals import Conflict, Forbidden, Invalid
from governance.story.events import tell
from incidents.models import Incident
from policies import rules
from policies.models import Decision, Demotion, Policy, Regret

from . import life

UPHELD_SEVERITY = 6
"""Of an upheld appeal and of an overruled refusal: weight 3.0. Two upheld appeals demote, for an agent and a person
stand behind each; or one together with another report."""


IMAGINED = "system:rehearsal"


def report(
    policy: Policy,
    *,
    severity: int,
    type: str = Regret.Type.OTHER,
    description: str = "",
    decision: Decision | None = None,
    incident: Incident | None = None,
    actor: Actor,
    simulated: bool = False,
) -> Regret:
    """Keep that somebody says a policy did harm, severity 1 to 10; an active policy with too much of it is demoted.

    ``incident`` is one that the policy caused. Raises Invalid for a decision that the policy had no part in and for
    an incident with another type of regret, Conflict for an incident that this policy is regretted for already.
    Simulated reports are weighed apart and never change the policy.
    """
    if decision is not None and all(one["id"] != policy.id for one in decision.policies):
        raise Invalid("This policy had no part in that decision.", field="decision_id")
    if incident is not None and type != Regret.Type.CAUSED_INCIDENT:
        raise Invalid("Only a caused_incident names an incident.", field="incident_id")
    said = Regret(
        policy=policy,
        decision=decision,
        incident=incident,
        agent=decision.agent if decision else None,
        type=type,
        severity=severity,
        description=description,
        simulated=simulated,
    )
    return _keep(policy, said, actor)


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
        said = Regret(
            policy=policy,
            decision=decision,
            agent=decision.agent,
            type=Regret.Type.APPEAL_UPHELD,
            severity=UPHELD_SEVERITY,
            description=checkpoint.reason,
            appellant=checkpoint.requested_by,
        )
        _keep(policy, said, actor)


@transaction.atomic
def overrule(decision: Decision, *, actor: Actor, reason: str) -> list[Regret]:
    """A person says of a refusal, without being asked, that it was wrong: a regret of every policy that denied it.

    Raises Forbidden for who is not a person, Invalid without a reason, Conflict for what no policy denied, for an
    appeal that waits (decide that) and for a second time by the same person.
    """
    if not actor.is_person:
        raise Forbidden("Only a person can overrule the guard.")
    if not reason.strip():
        raise Invalid("Say why.", field="reason")
    said = decision.would_be or decision.verdict
    if decision.verdict in Decision.YES or said in Decision.YES:
        raise Conflict("No policy denied this: there is nothing to overrule.")
    if Checkpoint.objects.filter(
        type=Checkpoint.Type.APPEAL, subject=decision.id, state=Checkpoint.State.PENDING
    ).exists():
        raise Conflict("An appeal against this waits for a decision: decide it.")
    denied_by = [one["id"] for one in decision.policies if one["action"] == said]
    policies = list(Policy.objects.filter(id__in=denied_by).order_by("id"))
    if not policies:
        raise Conflict("No policy denied this: there is nothing to overrule.")
    life.lock(*policies)
    mine = Regret.objects.filter(
        decision=decision, reporter=str(actor), type=Regret.Type.OVERRIDE, simulated=False
    )
    if mine.exists():
        raise Conflict("You have overruled this already.")
    return [
        report(
            policy,
            severity=UPHELD_SEVERITY,
            type=Regret.Type.OVERRIDE,
            description=reason,
            decision=decision,
            actor=actor,
        )
        for policy in policies
    ]


@transaction.atomic
def _keep(policy: Policy, regret: Regret, actor: Actor) -> Regret:
    # Two reports at once must see each other, or neither would find that it was one too many.
    life.lock(policy)
    same = Regret.objects.filter(policy=policy, incident=regret.incident, simulated=False)
    if regret.incident is not None and not regret.simulated and same.exists():
        raise Conflict("This policy is regretted for that incident already.")
    regret.reporter = str(actor)
    regret.save(force_insert=True)
    ledger.append(
        "regret.reported",
        regret.id,
        actor=actor,
        policy=policy.id,
        severity=regret.severity,
        type=str(regret.type),
        decision=regret.decision_id or "",
        incident=regret.incident_id or "",
        simulated=regret.simulated,
    )
    _tell(policy, "regret", f"Harm {regret.severity} of 10 by {policy.name}", regret, actor)
    _weigh(policy, regret)
    return regret


def _weigh(policy: Policy, regret: Regret) -> None:
    """Demote an active policy when its reports come to too much."""
    if policy.state != Policy.State.ACTIVE:
        return
    now = timezone.now()
    reports = _reports(policy, simulated=regret.simulated)
    if not rules.should_demote(reports, now):
        return
    if (
        regret.simulated
        and policy.demotions.filter(version=policy.version, simulated=True).exists()
    ):
        return
    counted, score = rules.counted(reports), rules.regret_score(reports, now)
    who = sorted(frozenset().union(*(one.principals for one in counted)))
    reason = f"Regret of {score:.1f} from {len(counted)} reports by {len(who)} principals."
    demotion = Demotion.objects.create(
        policy=policy,
        version=policy.version,
        score=score,
        reports=len(counted),
        principals=who,
        reason=reason,
        simulated=regret.simulated,
    )
    ledger.append(
        "policy.demoted",
        demotion.id,
        actor=GUARD,
        reason=reason,
        policy=policy.id,
        version=policy.version,
        simulated=regret.simulated,
    )
    if not regret.simulated:
        life.demote(policy, actor=GUARD, reason=reason)
    _tell(policy, "demotion", f"Demoted to shadow: {policy.name}", regret, GUARD, reason)


def _reports(policy: Policy, *, simulated: bool) -> list[rules.Regret]:
    """The reports since the policy last came into force: what it was demoted for before is paid."""
    rows = Regret.objects.filter(
        policy=policy, simulated=simulated, created_at__gte=policy.state_since
    )
    return [rules.Regret(row.severity, _behind(row), row.created_at) for row in rows]


def _behind(row: Regret) -> frozenset[str]:
    """Who stands behind a report. A rehearsal asks what would follow if somebody else agreed."""
    second = IMAGINED if row.simulated else row.appellant
    return frozenset({row.reporter, second} - {""})


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

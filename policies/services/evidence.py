"""Evidence: policies judged by what happened to the calls they would have stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from governance import tenants
from governance.actors import GUARD, LOOP, Actor
from governance.database.compiled import compiled
from governance.database.inserts import insert
from policies import rules
from policies.models import Decision, Evidence, Policy, WouldBlock
from recovery.rules import APPROVED_AT_LEAST

from . import calls, confirmations_of, drafting, life, witnesses_of
from .calls import Seen

WATCHING = (Policy.State.SHADOW, Policy.State.PENDING)
Result = WouldBlock.Result


def kind_for(policy: Policy, seen: Seen) -> str:
    """What an incident is to a policy that would have blocked it: only a watching one can be confirmed by it.

    An incident that only a bypass made possible confirms nothing.
    """
    if seen.decision is not None and seen.decision.is_overridden:
        return Evidence.Kind.SUPPORT
    if policy.state in WATCHING and policy.simulated == seen.incident.simulated:
        return Evidence.Kind.CONFIRMATION
    return Evidence.Kind.SUPPORT


def link(pairs: Iterable[tuple[Policy, Seen]]) -> None:
    """Keep, once for each policy's version and incident, that the policy would have blocked the incident's call."""
    insert(
        (
            Evidence(
                policy=policy,
                version=policy.version,
                kind=kind_for(policy, seen),
                incident=seen.incident,
                actor=str(LOOP),
            )
            for policy, seen in pairs
        ),
        ignore_conflicts=True,
    )


def settle_failures(
    seen: Iterable[Seen], blocking: Mapping[str, Collection[Policy]]
) -> dict[str, list[Policy]]:
    """Settle what watching policies said about calls that then failed.

    ``blocking`` has, by incident id, the policies of the incident's pattern that would have blocked it: those are
    confirmed, others had a point about another failure. Returns, by incident id, the policies that belong to no
    pattern and so are confirmed by any failure.
    """
    incidents = {
        one.decision.id: one.incident.id
        for one in seen
        if one.decision and one.decision.would_block
    }
    unbound: dict[str, list[Policy]] = defaultdict(list)
    if not incidents:
        return unbound
    confirmed, others = [], []
    rows = WouldBlock.objects.filter(decision_id__in=incidents, result=Result.OPEN)
    for row in rows.select_related("policy"):
        incident_id = incidents[row.decision_id]
        if row.policy.pattern_id is None:
            unbound[incident_id].append(row.policy)
            confirmed.append(row.id)
        elif any(policy.id == row.policy_id for policy in blocking.get(incident_id, ())):
            confirmed.append(row.id)
        else:
            others.append(row.id)
    _settle(confirmed, Result.CONFIRMED)
    _settle(others, Result.OTHER_FAILURE)
    return unbound


def judge_success(decision: Decision) -> None:
    """Settle what watching policies said about a call that went well.

    The loop's own policies that would still block it are worded narrower or retired, and their questions to
    people are void. A person's own policy is left to people, who are shown how it did.
    """
    if not decision.would_block:
        return
    rows = list(
        WouldBlock.objects.filter(decision=decision, result=Result.OPEN).select_related("policy")
    )
    if not rows:
        return
    _settle([row.id for row in rows], Result.FALSE_REJECTION)
    if not decision.simulated:
        _correct([row.policy for row in rows], decision)


@transaction.atomic
def _correct(policies: Collection[Policy], decision: Decision) -> None:
    wrong = [
        policy
        for policy in policies
        if _is_wrong(policy, decision) and not _is_one_against_several(policy, decision)
    ]
    for policy in wrong:
        life.withdraw_question(policy, actor=GUARD, reason=f"It would have blocked {decision.id}.")
    life.lock(*policies)
    for policy in wrong:
        if _is_wrong(policy, decision):
            _redraft(policy, decision)
    measure(policy for policy in policies if policy.state in WATCHING)


def measure(locked: Iterable[Policy]) -> None:
    """Bring the confidence of watching policies up to date with the outcomes of what they would have blocked."""
    by_id = {policy.id: policy for policy in locked}
    if not by_id:
        return
    for policy_id, known, failed in _known_of(list(by_id)):
        policy = by_id[policy_id]
        started = policy.recovery.confidence if policy.recovery else APPROVED_AT_LEAST
        confidence = rules.policy_confidence(started, known, failed)
        if confidence != policy.confidence:
            policy.confidence = confidence
            policy.save(update_fields=["confidence"])


@compiled
def _known_of(policies: Sequence[str]) -> QuerySet[WouldBlock, tuple[str, int, int]]:
    """For each policy how many outcomes of what its version would have blocked are known, and how many of them failed."""
    known = WouldBlock.objects.filter(
        policy_id__any=policies, version=F("policy__version"), simulated=F("policy__simulated")
    ).exclude(result=Result.OPEN)
    failed = Count("id", filter=~Q(result=Result.FALSE_REJECTION))
    return known.order_by().values_list("policy_id").annotate(known=Count("id"), failed=failed)


def withdraw(incident_id: str, *, actor: Actor, reason: str) -> None:
    """Take back what an incident said for policies; a policy that no other incident is behind is retired."""
    given = list(
        Evidence.objects.filter(incident_id=incident_id, withdraws=False).select_related("policy")
    )
    policies = {row.policy_id: row.policy for row in given}
    for policy in policies.values():
        life.withdraw_question(policy, reason=reason, actor=actor)
    life.lock(*policies.values())
    Evidence.objects.bulk_create(
        (
            Evidence(
                policy=policies[row.policy_id],
                version=row.version,
                kind=row.kind,
                incident_id=incident_id,
                actor=str(actor),
                withdraws=True,
                note=reason,
            )
            for row in given
        ),
        ignore_conflicts=True,
    )
    supported = _supported(policies)
    for policy in policies.values():
        if policy.source != Policy.Source.MANUAL and policy.id not in supported:
            if policy.state != Policy.State.RETIRED:
                life.retire(policy, actor=actor, reason=reason)
        elif policy.state == Policy.State.PENDING:
            life.return_to_shadow(policy, actor=actor, reason=reason)
    left = [one for one in policies.values() if one.id in supported]
    life.request_when_confirmed(left, confirmations_of(left), tenants.settings())


def _supported(policies: Collection[str]) -> set[str]:
    """Those of these policies that an incident is still behind, whatever the version."""
    standing: dict[tuple[str, str | None], bool] = {}
    rows = Evidence.objects.filter(policy_id__in=policies, incident__isnull=False)
    for policy_id, incident_id, withdraws in rows.values_list(
        "policy_id", "incident_id", "withdraws"
    ):
        key = (policy_id, incident_id)
        standing[key] = standing.get(key, True) and not withdraws
    return {policy_id for (policy_id, _), stands in standing.items() if stands}


def _settle(ids: Collection[str], result: str) -> None:
    if ids:
        WouldBlock.objects.filter(id__in=ids).update(result=result)


def _is_wrong(policy: Policy, decision: Decision) -> bool:
    """Whether a good call speaks against one of the loop's own watching policies, as it is worded now."""
    return (
        policy.source != Policy.Source.MANUAL
        and policy.state in WATCHING
        and calls.blocks(policy.condition, decision)
    )


def _is_one_against_several(policy: Policy, decision: Decision) -> bool:
    """Whether one agent says that it went well, and several others that it fails: then another must say so too.

    Else whoever reports successes that never were could take any policy away.
    """
    others = witnesses_of(policy) - {decision.agent_id}
    if len(others) < rules.WITNESSES_NEEDED:
        return False
    against = WouldBlock.objects.filter(
        policy=policy, version=policy.version, result=Result.FALSE_REJECTION
    )
    said_well = {
        decision.agent_id,
        *against.values_list("decision__agent_id", flat=True).distinct(),
    }
    return len(said_well) < rules.WITNESSES_NEEDED


def _redraft(policy: Policy, decision: Decision) -> None:
    if policy.state == Policy.State.PENDING:
        reason = f"It would have blocked {decision.id}, which went well."
        life.return_to_shadow(policy, actor=GUARD, reason=reason)
    drafting.narrow_after(policy, decision)

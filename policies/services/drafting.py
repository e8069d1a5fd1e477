"""Wording policies from what happened: born of a failure, broadened for another, narrowed after harm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import connection

from governance import tenants
from governance.actors import GUARD, LOOP
from governance.story.events import tell
from policies import rules
from policies.models import Decision, Evidence, Policy
from policies.synthesis import Call, Draft, TooThin, broaden, draft, narrow
from recovery.models import Recovery

from . import calls, life
from .calls import Seen, Stored

CAUSES_LIMIT = 8
"""Failures behind a policy that a narrower wording tries to keep blocking; each costs one search."""


def hold_patterns(pattern_ids: Iterable[str]) -> None:
    """Let one transaction at a time draft for each of these patterns; taken in one order by everybody."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(name, 0) AS key"
            " FROM unnest(%s::text[]) AS name ORDER BY key) AS keys",
            ([f"draft a policy for {each}" for each in pattern_ids],),
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """The policy that would be drafted was rejected before, for this reason; that still holds."""

    reason: str


def bear(
    recovery: Recovery, seen: Seen, trace_id: str, stored: Stored
) -> Policy | TooThin | Rejected:
    """A new policy in shadow, born of a failure and what was done about it. Hold its pattern first."""
    cause, incident = _cause(seen), seen.incident
    drafted = draft(
        cause, stored.failures(recovery.pattern_id, cause.tool), stored.successes(cause.tool)
    )
    if isinstance(drafted, TooThin):
        return drafted
    if reason := life.rejection(recovery.pattern_id, drafted.condition):
        return Rejected(reason)
    action = rules.action_allowed(
        Policy.Action.BLOCK,
        incident.category,
        hallucination_may_block=tenants.settings().hallucination_may_block,
    )
    policy = Policy(
        name=f"{cause.tool}: {recovery.pattern.name}"[:300],
        action=action,
        category=Policy.Category.OPERATIONAL,
        scope_type=Policy.Scope.TENANT,
        source=Policy.Source.RECOVERY,
        tool=cause.tool,
        confidence=rules.policy_confidence(recovery.confidence, 0, 0),
        pattern=recovery.pattern,
        recovery=recovery,
        trace_id=trace_id,
        simulated=incident.simulated,
    )
    return life.draft_learned(
        policy, _wording(drafted), incident_id=incident.id, reason="Drafted from its recovery."
    )


def broaden_for(policy: Policy, seen: Seen, stored: Stored) -> bool:
    """Word a policy in shadow anew so that it blocks this failure too; False when no wording does.

    The policy must be locked and its pattern held.
    """
    cause, incident = _cause(seen), seen.incident
    known = stored.failures(policy.pattern_id or "", cause.tool)
    drafted = broaden(policy.condition, cause, known, stored.successes(cause.tool))
    if isinstance(drafted, TooThin):
        return False
    reason = f"Broadened for {incident.id}."
    life.reword(policy, _wording(drafted), actor=LOOP, reason=reason)
    _found_on(policy, incident.id, reason)
    _tell_redrafted(policy, f"Broadened: {policy.name}", reason)
    return True


def narrow_after(policy: Policy, decision: Decision) -> None:
    """Word a policy in shadow anew so that it lets a good call through; retire it when no wording does.

    It keeps blocking as many of the failures behind it as it can. The policy must be locked.
    """
    good = calls.call_of(decision)
    founder, drafted = _narrower(policy, good)
    reason = f"It would have blocked {decision.id}, which went well."
    if isinstance(drafted, TooThin):
        life.reject(policy, actor=GUARD, reason=f"{reason} {drafted.reason}")
        return
    life.reword(policy, _wording(drafted), actor=GUARD, reason=reason)
    _found_on(policy, founder, reason)
    _tell_redrafted(policy, f"Narrowed: {policy.name}", reason)


def _narrower(policy: Policy, good: Call) -> tuple[str, Draft | TooThin]:
    """The incident that a narrower wording stands on, and the wording.

    One wording may be many failures remembered side by side, of which the good call contradicts one: so it
    begins with the first failure that can still be told from good calls, and adds the others.
    """
    stored = Stored()
    founder = ""
    wording: Draft | TooThin = TooThin("No failure is behind it any more.")
    for incident_id, cause in _causes(policy):
        known = stored.failures(policy.pattern_id or "", cause.tool)
        successes = _with(good, stored.successes(cause.tool))
        if isinstance(wording, TooThin):
            founder, wording = incident_id, narrow(policy.condition, cause, known, successes)
        elif isinstance(wider := broaden(wording.condition, cause, known, successes), Draft):
            kept = wider.condition == wording.condition
            wording = replace(wider, explanation=wording.explanation) if kept else wider
    return founder, wording


def _causes(policy: Policy) -> list[tuple[str, Call]]:
    """The failing calls behind a policy, whatever its version, latest first."""
    behind = (
        Evidence.objects.filter(policy=policy, incident__isnull=False)
        .exclude(incident__in=policy.evidence.filter(withdraws=True).values("incident"))
        .order_by("-id")
        .values_list("incident_id", flat=True)
    )
    seen = calls.see(dict.fromkeys(behind[: 10 * CAUSES_LIMIT]))
    found = ((each, seen[each].call) for each in sorted(seen, reverse=True))
    return calls.distinct((each, call) for each, call in found if call)[:CAUSES_LIMIT]


def _with(good: Call, successes: list[Call]) -> list[Call]:
    return successes if good in successes else [good, *successes]


def _cause(seen: Seen) -> Call:
    if seen.call is None:
        raise ValueError(f"{seen.incident.id} has no call to draft a policy from.")
    return seen.call


def _wording(drafted: Draft) -> life.Wording:
    shown = calls.as_json(drafted.backtest, drafted)
    return life.Wording(drafted.condition, drafted.explanation, shown)


def _found_on(policy: Policy, incident_id: str, reason: str) -> None:
    Evidence.objects.create(
        policy=policy,
        version=policy.version,
        kind=Evidence.Kind.ORIGIN,
        incident_id=incident_id,
        actor=str(LOOP),
        note=reason,
    )


def _tell_redrafted(policy: Policy, headline: str, reason: str) -> None:
    if policy.trace_id:
        tell(
            policy.trace_id,
            "policy_redrafted",
            headline,
            actor=LOOP,
            subject=policy.id,
            details={"policy_id": policy.id, "version": policy.version, "reason": reason},
            simulated=policy.simulated,
        )

"""Wording policies from what happened: born of a failure, broadened for another, narrowed after harm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import connection

from governance import tenants
from governance.actors import GUARD, LOOP
from governance.database.tenancy import required_tenant
from governance.story.events import tell
from incidents.models import Incident
from policies import rules
from policies.models import Decision, Evidence, Policy
from policies.synthesis import Call, Draft, Form, TooThin, broaden, draft, generalise, narrow
from recovery.models import Recovery

from . import calls, life, overlaps
from .calls import Seen, Stored

RECONSIDERED = 60
"""Latest remembered failures of a tool that are looked at again; a millisecond or two each."""
FEWEST_TO_RECONSIDER = 8
GROWN_BY = 1.5
TOOLS_REMEMBERED = 10_000
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
    """A policy that is born of a failure and what was done about it, in shadow. Hold its pattern first.

    Where a live policy of the tool says the very same already, it is that one: the failure speaks for it.
    """
    cause = _cause(seen)
    drafted = draft(
        cause,
        stored.failures(recovery.pattern_id, cause.tool),
        stored.successes(cause),
        stored.failed(cause.tool),
    )
    if isinstance(drafted, TooThin):
        return drafted
    if (same := overlaps.saying(drafted.condition, cause.tool)) is not None:
        return same
    return _born(recovery, seen.incident, trace_id, drafted)


def _born(
    recovery: Recovery, incident: Incident, trace_id: str | None, drafted: Draft
) -> Policy | Rejected:
    if reason := life.rejection(recovery.pattern_id, drafted.condition):
        return Rejected(reason)
    action = rules.action_allowed(
        Policy.Action.BLOCK,
        incident.category,
        hallucination_may_block=tenants.settings().hallucination_may_block,
    )
    policy = Policy(
        name=f"{incident.tool}: {recovery.pattern.name}"[:300],
        action=action,
        category=Policy.Category.OPERATIONAL,
        scope_type=Policy.Scope.TENANT,
        source=Policy.Source.RECOVERY,
        tool=incident.tool,
        confidence=rules.policy_confidence(recovery.confidence, 0, 0),
        pattern=recovery.pattern,
        recovery=recovery,
        trace_id=trace_id,
        simulated=incident.simulated,
    )
    return life.draft_learned(
        policy, _wording(drafted), incident_id=incident.id, reason="Drafted from its recovery."
    )


def reconsider(tool: str, stored: Stored) -> list[Policy]:
    """General policies for failures of a tool that were only remembered, now that more good calls show what is usual.

    They are new policies that watch, born of the same failures; what was remembered stays as it is. It is done again
    whenever there are half as many good calls more, so that its cost does not grow with each failure.
    """
    good = stored.good(tool)
    if not _is_time(tool, len(good)):
        return []
    remembered = (
        Policy.objects.live()
        .filter(tool=tool, source=Policy.Source.RECOVERY, simulated=False)
        .exclude(backtest__form=Form.GENERAL)
        .select_related("recovery__pattern", "recovery__match")
        .order_by("-id")[:RECONSIDERED]
    )
    behind = {policy.recovery.match.incident_id: policy for policy in remembered if policy.recovery}
    seen = calls.see(dict.fromkeys(behind))
    born = []
    for incident_id, policy in behind.items():
        cause = seen[incident_id].call
        wider = generalise(cause, [cause], good) if cause and policy.recovery else None
        if wider is None or overlaps.saying(wider.condition, tool) is not None:
            continue
        made = _born(policy.recovery, seen[incident_id].incident, policy.trace_id, wider)
        if isinstance(made, Policy):
            born.append(made)
    return born


_reconsidered: OrderedDict[tuple[str, str], int] = OrderedDict()
"""How many good calls a tool had when its policies were last reconsidered in this process."""


def _is_time(tool: str, good: int) -> bool:
    key = (required_tenant(), tool)
    if good < max(FEWEST_TO_RECONSIDER, GROWN_BY * _reconsidered.get(key, 0)):
        return False
    _reconsidered[key] = good
    _reconsidered.move_to_end(key)
    while len(_reconsidered) > TOOLS_REMEMBERED:
        _reconsidered.popitem(last=False)
    return True


def broaden_for(policy: Policy, seen: Seen, stored: Stored) -> bool:
    """Word a policy in shadow anew so that it blocks this failure too; False when no wording does.

    The policy must be locked and its pattern held.
    """
    cause, incident = _cause(seen), seen.incident
    known = stored.failures(policy.pattern_id or "", cause.tool)
    drafted = broaden(
        policy.condition, cause, known, stored.successes(cause), stored.failed(cause.tool)
    )
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
        successes = _with(good, stored.successes(cause))
        failed = stored.failed(cause.tool)
        if isinstance(wording, TooThin):
            founder = incident_id
            wording = narrow(policy.condition, cause, known, successes, failed)
        elif isinstance(
            wider := broaden(wording.condition, cause, known, successes, failed), Draft
        ):
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
    found = ((each, seen[each].call_in_its_run) for each in sorted(seen, reverse=True))
    return calls.distinct((each, call) for each, call in found if call)[:CAUSES_LIMIT]


def _with(good: Call, successes: list[Call]) -> list[Call]:
    return successes if good in successes else [good, *successes]


def _cause(seen: Seen) -> Call:
    if (call := seen.call) is None:
        raise ValueError(f"{seen.incident.id} has no call to draft a policy from.")
    return call


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

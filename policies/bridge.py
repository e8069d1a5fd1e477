"""The loop's step from a recovery to a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog import services as catalog
from catalog.models import PatternMatch
from governance.actors import Actor
from governance.loop.bridges import GoOn, Outcome, Stop, Told, Work
from governance.models import FailureState
from policies.services import evidence
from policies.services.learning import Case, How, Lesson, draft_policies

SAID = {
    How.SUPPORTED: "{name} is about this failure",
    How.CONFIRMED: "{name} would have stopped this: {count} of {needed} confirmations",
    How.BORE: "Drafted, and watching: {name}",
    How.BROADENED: "Broadened, and watching: {name}",
}


def land(works: Sequence[Work]) -> dict[str, Outcome]:
    """Link each failure to the policy that would have blocked it, or draft one."""
    lessons = draft_policies(_cases(works))
    return {work.step_id: _outcome(lessons[work.trace_id]) for work in works}


def undo(incident_id: str, trace_id: str, actor: Actor, reason: str) -> None:
    """Take back the incident's evidence; what no other incident is behind is retired."""
    evidence.withdraw(incident_id, actor=actor, reason=reason)


def _cases(works: Sequence[Work]) -> list[Case]:
    matches = {work.step_id: work.at_hand(PatternMatch) for work in works}
    families = catalog.families_of(
        {work.facts["pattern_id"] for work in works if matches[work.step_id] is None}
    )
    return [_case(work, matches[work.step_id], families) for work in works]


def _case(work: Work, match: PatternMatch | None, families: Mapping[str, Sequence[str]]) -> Case:
    pattern_id = work.facts["pattern_id"]
    return Case(
        work.incident_id,
        work.trace_id,
        pattern_id,
        work.facts.get("recovery_id") or "",
        match.incident if match else None,
        work.gesture,
        tuple(match.pattern.family if match else families[pattern_id]),
    )


def _outcome(lesson: Lesson) -> Outcome:
    policy = lesson.policy
    if policy is None and lesson.is_rejected:
        said = f"This very policy was rejected before: {lesson.reason}"
        return Stop(FailureState.POLICY_REJECTED, said)
    if policy is None:
        return Stop(FailureState.POLICY_LOW_CONFIDENCE, f"No policy: {lesson.reason}")
    facts = {"policy_id": policy.id, "policy_state": policy.state}
    said = SAID[lesson.how].format(
        name=policy.name, count=lesson.confirmations, needed=lesson.needed
    )
    return GoOn(said, policy.id, facts, events=_confirmation(lesson, said), hands_on=[policy])


def _confirmation(lesson: Lesson, said: str) -> list[Told]:
    """What the story that bore the policy is told."""
    if lesson.how is not How.CONFIRMED or lesson.policy is None:
        return []
    details = {
        "policy_id": lesson.policy.id,
        "confirmations": lesson.confirmations,
        "needed": lesson.needed,
    }
    trace_id = lesson.policy.trace_id or ""
    return [Told("policy_confirmed", said, lesson.policy.id, details, trace_id)]

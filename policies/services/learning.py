"""The loop's step from a recovery to a policy, for several failures at once.

A failure that a live policy would have blocked adds to that policy's evidence: nearly all do, in a handful of
queries whatever their number. For the others a policy is drafted, or one in shadow broadened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from governance import tenants
from governance.database.compiled import compiled
from governance.gestures import caused_by
from incidents.models import Incident
from policies import rules
from policies.models import Evidence, Policy
from recovery.models import Recovery

from . import calls, confirmations_of, drafting, evidence, life
from .calls import Seen, Stored

NO_CALL = "What the agent called is not known, so no policy can recognise it."
PASSES = (
    "Such failures pass, so it is tried again instead. A policy comes when the very same call has "
    f"failed {rules.PASSING_FAILURES} times and never gone well."
)
FURTHEST_FIRST = (Policy.State.ACTIVE, Policy.State.PENDING, Policy.State.SHADOW)


@dataclass(frozen=True, slots=True)
class Case:
    """One failure that a policy is wanted for: an incident, its story, its pattern and what was done about it.

    ``incident`` with its agent and run saves reading it again; ``gesture`` is what caused the failure to be told.
    ``family`` are all patterns that are this kind of failure; empty means its own alone.
    """

    incident_id: str
    trace_id: str
    pattern_id: str
    recovery_id: str
    incident: Incident | None = None
    gesture: str = ""
    family: Sequence[str] = ()

    @property
    def patterns(self) -> Sequence[str]:
        """The ids of its pattern and of all that a person merged with it."""
        return self.family or (self.pattern_id,)


class How(StrEnum):
    """What a failure did for a policy."""

    SUPPORTED = "supported"
    CONFIRMED = "confirmed"
    BORE = "bore"
    BROADENED = "broadened"


@dataclass(slots=True)
class Lesson:
    """What came of one failure: its policy, or the reason why there is none."""

    policy: Policy | None = None
    how: How = How.SUPPORTED
    reason: str = ""
    is_rejected: bool = False
    confirmations: int = 0
    needed: int = 0


def draft_policies(cases: Sequence[Case]) -> dict[str, Lesson]:
    """What each failure teaches, by trace id. Runs inside the loop's transaction; the same again changes nothing."""
    seen = calls.see({case.incident_id: case.incident for case in cases})
    live = _live(cases)
    blocking = _blocking(cases, live, seen)
    for incident_id, unbound in evidence.settle_failures(seen.values(), blocking).items():
        blocking[incident_id] += unbound
    evidence.link(
        (policy, seen[incident_id]) for incident_id, found in blocking.items() for policy in found
    )
    lessons = {
        case.trace_id: _linked(blocking[case.incident_id], seen[case.incident_id])
        for case in cases
        if blocking[case.incident_id]
    }
    left = [case for case in cases if case.trace_id not in lessons]
    watching = {
        policy.id
        for found in blocking.values()
        for policy in found
        if policy.state in evidence.WATCHING
    }
    if left or watching:
        # Those in force were asked just now; a pattern can have hundreds, and a lock on each is a write.
        asked = {
            policy.id
            for found in live.values()
            for policy in found
            if policy.state not in evidence.WATCHING
        }
        _learn(left, seen, watching, asked, lessons)
    return lessons


def _learn(
    left: Collection[Case],
    seen: Mapping[str, Seen],
    watching: set[str],
    asked: set[str],
    lessons: dict[str, Lesson],
) -> None:
    """The unusual part: draft for what no policy would have blocked, and weigh the watching policies.

    ``asked`` are policies that let all of what is left pass and that nothing is to be learned about.
    """
    recoveries = {one.id: one for one in _recoveries([case.recovery_id for case in left])}
    wanting = []
    for case in left:
        reason = _reason_against(seen[case.incident_id], recoveries.get(case.recovery_id))
        if reason:
            lessons[case.trace_id] = Lesson(reason=reason)
        else:
            wanting.append(case)
    patterns = {pattern for case in wanting for pattern in case.patterns}
    if patterns:
        drafting.hold_patterns(patterns)
    # All at once and by id: two workers that each need several would otherwise wait for each other.
    held = _held(list(watching), list(patterns), list(asked))
    stored = Stored()
    for case in wanting:
        recovery = recoveries[case.recovery_id]
        with caused_by(case.gesture):
            lesson = _draft(case, seen[case.incident_id], recovery, held, stored)
        lessons[case.trace_id] = lesson
        if lesson.policy and lesson.policy not in held:
            held.append(lesson.policy)
    for tool in {seen[case.incident_id].incident.tool for case in wanting}:
        held += drafting.reconsider(tool, stored)
    _weigh(held, lessons)


@compiled
def _recoveries(ids: Sequence[str]) -> QuerySet[Recovery]:
    return Recovery.objects.select_related("pattern").filter(id__any=ids).order_by()


@compiled
def _held(
    watching: Sequence[str], patterns: Sequence[str], asked: Sequence[str]
) -> QuerySet[Policy]:
    """Those that watch, and the other live ones of these patterns without those that were asked: locked."""
    wanted = Q(id__any=watching) | Q(pattern_id__any=patterns)
    found = Policy.objects.live().filter(wanted).exclude(id__any=asked).order_by("id")
    return found.select_related("recovery").select_for_update(of=("self",), no_key=True)


def _draft(
    case: Case, seen: Seen, recovery: Recovery, held: Sequence[Policy], stored: Stored
) -> Lesson:
    """A policy for one failure; another worker, or an earlier failure of this batch, may have made it by now."""
    family = [policy for policy in held if policy.pattern_id in case.patterns]
    if found := _that_block(family, seen):
        evidence.link((policy, seen) for policy in found)
        return _linked(found, seen)
    if rules.may_pass(recovery.kind, stored.same(case.pattern_id, seen)):
        return Lesson(reason=PASSES)
    for policy in reversed(family):
        if _may_be_broadened(policy, seen) and drafting.broaden_for(policy, seen, stored):
            return Lesson(policy, How.BROADENED)
    born = drafting.bear(recovery, seen, case.trace_id, stored)
    if isinstance(born, Policy) and born.trace_id != case.trace_id:
        evidence.link([(born, seen)])
        return _linked([born], seen)
    if isinstance(born, Policy):
        return Lesson(born, How.BORE)
    return Lesson(reason=born.reason, is_rejected=isinstance(born, drafting.Rejected))


def _weigh(held: Sequence[Policy], lessons: Mapping[str, Lesson]) -> None:
    """Bring watching policies up to date and ask for those that are confirmed; lessons then show them as they are."""
    watching = [policy for policy in held if policy.state in evidence.WATCHING]
    evidence.measure(watching)
    counts, settings = confirmations_of(watching), tenants.settings()
    life.request_when_confirmed(watching, counts, settings)
    as_held = {policy.id: policy for policy in held}
    for lesson in lessons.values():
        if lesson.policy and lesson.policy.id in as_held:
            lesson.policy = as_held[lesson.policy.id]
            lesson.confirmations = counts.get(lesson.policy.id, 0)
            lesson.needed = settings.confirmations


# A pattern can have hundreds of live policies, and nearly all of them are only asked: they are read as rows, without
# what is long or takes long to read, and a record is made of those alone that would have blocked.
_UNREAD = frozenset({"explanation", "backtest", "head", "reason", "created_at", "state_since"})
_READ = [field.attname for field in Policy._meta.concrete_fields if field.name not in _UNREAD]


def _live(cases: Iterable[Case]) -> dict[str, list[Any]]:
    """The live policies of the patterns of these cases as rows, by pattern."""
    live: dict[str, list[Any]] = defaultdict(list)
    for row in _live_of(list({each for case in cases for each in case.patterns})):
        live[row.pattern_id].append(row)
    return live


@compiled
def _live_of(pattern_ids: Sequence[str]) -> QuerySet[Policy, Any]:
    live = Policy.objects.live().filter(pattern_id__any=pattern_ids).order_by("id")
    return live.values_list(*_READ, named=True)


def _blocking(
    cases: Iterable[Case], live: Mapping[str, Sequence[Any]], seen: Mapping[str, Seen]
) -> dict[str, list[Policy]]:
    """Those of the live policies that would have blocked each case, by incident."""
    made: dict[str, Policy] = {}
    blocking: dict[str, list[Policy]] = {}
    for case in cases:
        rows = [
            row
            for pattern in case.patterns
            for row in live[pattern]
            if calls.would_block(row, seen[case.incident_id])
        ]
        for row in rows:
            if row.id not in made:
                made[row.id] = Policy.from_db(connection.alias, _READ, row)
        blocking[case.incident_id] = [made[row.id] for row in rows]
    return blocking


def _that_block(policies: Iterable[Policy], seen: Seen) -> list[Policy]:
    return [policy for policy in policies if calls.would_block(policy, seen)]


def _linked(found: Sequence[Policy], seen: Seen) -> Lesson:
    """The lesson of a failure that policies would have blocked: the one furthest on is shown."""
    policy = min(found, key=lambda one: (FURTHEST_FIRST.index(Policy.State(one.state)), one.id))
    is_confirmed = evidence.kind_for(policy, seen) == Evidence.Kind.CONFIRMATION
    return Lesson(policy, How.CONFIRMED if is_confirmed else How.SUPPORTED)


def _reason_against(seen: Seen, recovery: Recovery | None) -> str:
    """Why no policy can be drafted; empty where one may be."""
    if seen.call is None:
        return NO_CALL
    if recovery is None:
        return "Nothing was done about it, so nothing can be learned from that."
    if rules.is_low_confidence(rules.policy_confidence(recovery.confidence, 0, 0)):
        return f"Its recovery's confidence of {recovery.confidence:.2f} is below {rules.LOW_CONFIDENCE}."
    return ""


def _may_be_broadened(policy: Policy, seen: Seen) -> bool:
    return (
        policy.state == Policy.State.SHADOW
        and policy.source == Policy.Source.RECOVERY
        and policy.tool == seen.incident.tool
        and policy.simulated == seen.incident.simulated
    )

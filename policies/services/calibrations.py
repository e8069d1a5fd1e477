"""Calibrations: a pattern learns from what came of its matches how sure a match must be.

A match was right where a person said so, approved what was suggested because of it, or where a policy of its pattern,
born of another incident, would have stopped this one too. It was wrong where a person said so, or rejected what was
suggested because of a weak match. A person's own word on the match goes before everything else, and so does what people
teach: a match that was corrected was wrong, and a failure that opened a pattern which was merged into the one that it
was most like was of that one. Exact matches are no question of thresholds and say nothing about them; nor does
anything simulated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from catalog import services as catalog
from catalog.models import Pattern, PatternMatch, Teaching
from governance import ledger
from governance.actors import Actor
from governance.ids import first_id
from governance.models import Checkpoint
from governance.refusals import Conflict, Forbidden, Invalid
from policies import rules
from policies.models import Calibration, Evidence, MatchVerdict
from recovery.models import Recovery

LATELY = timedelta(hours=3)
"""How far the hourly task looks back for what was judged; a run that is missed is made up for by the next two."""
MOST_OUTCOMES = 1_000
"""Newest matches of one pattern that are looked at."""
MOST_HISTORY = 50
EXACT = 1.0
Kind = Calibration.Kind


def weigh_lately_judged(*, actor: Actor) -> int:
    """Weigh every pattern with a match that was judged lately; how many changed."""
    changed = 0
    for pattern_id in sorted(_lately_judged()):
        with transaction.atomic():
            changed += weigh(Pattern.objects.get(pk=pattern_id), actor=actor) is not None
    return changed


@transaction.atomic
def weigh(pattern: Pattern, *, actor: Actor) -> Calibration | None:
    """Let the outcomes of a pattern's matches move its thresholds; None where nothing changes.

    Nothing moves while a person has frozen it. While the error of the latest outcomes jumps it is held, which is
    remembered once.
    """
    _hold(pattern)
    latest = _latest(pattern)
    if latest is not None and latest.kind in Calibration.FREEZING:
        return None
    judged = outcomes_of(pattern)
    now = rules.Thresholds(pattern.strong_above, pattern.weak_from)
    if rules.has_jumped(judged):
        if latest is not None and latest.kind == Kind.HELD:
            return None
        return _keep(pattern, Kind.HELD, now, judged, actor, "The error of the latest jumped.")
    after = rules.calibrated(judged, now)
    if after == now:
        return None
    return _keep(pattern, Kind.MEASURED, after, judged, actor, "Learned from outcomes.")


@transaction.atomic
def freeze(pattern: Pattern, *, actor: Actor, reason: str) -> Calibration:
    """Keep the thresholds as they are until a person thaws them. Raises Forbidden, Invalid, Conflict."""
    _check(actor, reason)
    _hold(pattern)
    if is_frozen(pattern):
        raise Conflict("It is frozen already.")
    return _keep(pattern, Kind.FROZEN, _now(pattern), outcomes_of(pattern), actor, reason)


@transaction.atomic
def thaw(pattern: Pattern, *, actor: Actor, reason: str) -> Calibration:
    """Let the thresholds learn again. Raises Forbidden, Invalid, Conflict."""
    _check(actor, reason)
    _hold(pattern)
    if not is_frozen(pattern):
        raise Conflict("It is not frozen.")
    return _keep(pattern, Kind.THAWED, _now(pattern), outcomes_of(pattern), actor, reason)


@transaction.atomic
def revert(pattern: Pattern, *, actor: Actor, reason: str) -> Calibration:
    """Take the latest change of the thresholds back, and freeze them: the same outcomes would only move them again.

    Raises Forbidden, Invalid, and Conflict where nothing was ever changed.
    """
    _check(actor, reason)
    _hold(pattern)
    moved = pattern.calibrations.exclude(
        strong_above=F("strong_before"), weak_from=F("weak_before")
    ).order_by("-id")
    latest = moved.first()
    if latest is None or latest.kind == Kind.REVERTED:
        raise Conflict("There is no change to take back.")
    before = rules.Thresholds(latest.strong_before, latest.weak_before)
    return _keep(pattern, Kind.REVERTED, before, outcomes_of(pattern), actor, reason)


@transaction.atomic
def judge(match: PatternMatch, *, is_right: bool, actor: Actor, reason: str = "") -> MatchVerdict:
    """A person says whether an incident really was of the pattern it was matched with, once.

    Raises Forbidden for who is not a person, Invalid for a match that opened its pattern, Conflict for a second time.
    """
    if not actor.is_person:
        raise Forbidden("Only a person can judge a match.")
    if match.is_new:
        raise Invalid("This incident opened its pattern: there was nothing to be wrong about.")
    try:
        with transaction.atomic():
            verdict = MatchVerdict.objects.create(
                match=match, is_right=is_right, actor=str(actor), reason=reason
            )
    except IntegrityError as second:
        raise Conflict("You have judged this match already.") from second
    ledger.append(
        "match.judged",
        match.id,
        actor=actor,
        reason=reason,
        pattern=match.pattern_id,
        is_right=is_right,
    )
    return verdict


def is_frozen(pattern: Pattern) -> bool:
    """Whether a person has frozen the pattern's thresholds."""
    latest = _latest(pattern)
    return latest is not None and latest.kind in Calibration.FREEZING


def status(pattern: Pattern) -> dict[str, Any]:
    """How well the confidence of a pattern's matches is calibrated, in the API's words."""
    judged, latest = outcomes_of(pattern), _latest(pattern)
    has_jumped = rules.has_jumped(judged)
    return {
        "pattern_id": pattern.id,
        "name": pattern.name,
        "strong_above": pattern.strong_above,
        "weak_from": pattern.weak_from,
        "is_frozen": latest is not None and latest.kind in Calibration.FREEZING,
        "is_held": has_jumped,
        "outcomes": len(judged),
        "right": sum(one.is_right for one in judged),
        "needed": rules.calibration.OUTCOMES_NEEDED,
        "bins": [asdict(each) for each in rules.bins(judged)],
        "history": [
            {
                "id": each.id,
                "kind": each.kind,
                "strong_before": each.strong_before,
                "weak_before": each.weak_before,
                "strong_above": each.strong_above,
                "weak_from": each.weak_from,
                "outcomes": each.outcomes,
                "right": each.right,
                "actor": each.actor,
                "reason": each.reason,
                "at": each.created_at,
            }
            for each in pattern.calibrations.order_by("-id")[:MOST_HISTORY]
        ],
    }


def outcomes_of(pattern: Pattern) -> list[rules.Judged]:
    """The pattern's inexact matches whose outcome is known, and what merges say it should have matched, oldest first."""
    found = PatternMatch.objects.filter(
        pattern=pattern, is_new=False, confidence__lt=EXACT, incident__simulated=False
    ).order_by("-id")[:MOST_OUTCOMES]
    matches = {match.id: match for match in found.select_related("incident")}
    said = _said(matches)
    judged = [
        rules.Judged(match.confidence, said[match.id], match.created_at)
        for match in matches.values()
        if match.id in said
    ]
    missed = [
        rules.Judged(match.confidence, True, match.created_at)
        for match in _missed(pattern)
        if match.confidence < EXACT
    ]
    return sorted([*judged, *missed], key=lambda one: one.at)


def _missed(pattern: Pattern) -> QuerySet[PatternMatch]:
    """Those that opened a pattern which a person has merged into this one, and that were most like this one."""
    return PatternMatch.objects.filter(
        pattern__in=pattern.members,
        is_new=True,
        why__nearest__pattern_id__in=pattern.family,
        incident__simulated=False,
    )


def _said(matches: dict[str, PatternMatch]) -> dict[str, bool]:
    """Whether each of these matches was right, by match id; later sources go before earlier ones."""
    said = dict.fromkeys(_recognised(matches.values()), True)
    said |= _decided(matches)
    said |= dict.fromkeys(_corrected(matches.values()), False)
    words: dict[str, list[bool]] = defaultdict(list)
    for match_id, is_right in MatchVerdict.objects.filter(match__in=matches).values_list(
        "match_id", "is_right"
    ):
        words[match_id].append(is_right)
    # Where people disagree, nobody knows.
    for match_id, heard in words.items():
        if len(set(heard)) == 1:
            said[match_id] = heard[0]
        else:
            said.pop(match_id, None)
    return said


def _corrected(matches: Iterable[PatternMatch]) -> set[str]:
    """Those whose incident a person has said, and not taken back, is of another kind."""
    by_incident = {match.incident_id: match for match in matches}
    today = PatternMatch.objects.standing().filter(incident__in=by_incident, corrects__isnull=False)
    return {
        by_incident[incident].id
        for incident, pattern in today.values_list("incident_id", "pattern_id")
        if pattern != by_incident[incident].pattern_id
    }


def _recognised(matches: Iterable[PatternMatch]) -> set[str]:
    """Those that a policy of their pattern, born of another incident, would have stopped too."""
    by_incident = {match.incident_id: match for match in matches}
    rows = Evidence.objects.filter(
        incident__in=by_incident,
        kind__in=[Evidence.Kind.CONFIRMATION, Evidence.Kind.SUPPORT],
    ).values_list("incident_id", "withdraws", "policy__pattern_id")
    withdrawn = {incident for incident, withdraws, _ in rows if withdraws}
    return {
        by_incident[incident].id
        for incident, _, pattern in rows
        if incident not in withdrawn and pattern == by_incident[incident].pattern_id
    }


def _decided(matches: Collection[str]) -> dict[str, bool]:
    """What people decided about the recoveries that were suggested because of a weak match."""
    recoveries = dict(
        Recovery.objects.filter(match__in=matches, match__band=PatternMatch.Band.WEAK).values_list(
            "id", "match_id"
        )
    )
    decided = Checkpoint.objects.filter(
        type=Checkpoint.Type.APPROVE_RECOVERY,
        subject__in=recoveries,
        decided_by__startswith="user:",
        state__in=[Checkpoint.State.APPROVED, Checkpoint.State.REJECTED],
    ).order_by("id")
    return {
        recoveries[subject]: state == Checkpoint.State.APPROVED
        for subject, state in decided.values_list("subject", "state")
    }


def _lately_judged() -> set[str]:
    since = timezone.now() - LATELY
    by_people = MatchVerdict.objects.filter(id__gte=first_id("mvd", since))
    taught = Teaching.objects.filter(id__gte=first_id("tch", since))
    by_policies = Evidence.objects.filter(
        id__gte=first_id("evd", since), policy__pattern__isnull=False
    )
    decided = Checkpoint.objects.filter(
        type=Checkpoint.Type.APPROVE_RECOVERY, decided_at__gte=since
    ).values("subject")
    return {
        *by_people.values_list("match__pattern_id", flat=True),
        *taught.values_list("pattern_id", flat=True),
        *taught.filter(other__isnull=False).values_list("other_id", flat=True),
        *by_policies.values_list("policy__pattern_id", flat=True).distinct(),
        *Recovery.objects.filter(id__in=decided).values_list("pattern_id", flat=True),
    }


def _keep(
    pattern: Pattern,
    kind: str,
    after: rules.Thresholds,
    judged: Collection[rules.Judged],
    actor: Actor,
    reason: str,
) -> Calibration:
    kept = Calibration.objects.create(
        pattern=pattern,
        kind=kind,
        strong_before=pattern.strong_above,
        weak_before=pattern.weak_from,
        strong_above=after.strong,
        weak_from=after.weak,
        outcomes=len(judged),
        right=sum(one.is_right for one in judged),
        actor=str(actor),
        reason=reason[:300],
    )
    ledger.append(
        f"calibration.{kind}",
        kept.id,
        actor=actor,
        reason=reason,
        pattern=pattern.id,
        strong_above=after.strong,
        weak_from=after.weak,
    )
    catalog.set_thresholds(
        pattern, strong_above=after.strong, weak_from=after.weak, actor=actor, reason=reason
    )
    return kept


def _hold(pattern: Pattern) -> None:
    """Let one change at a time weigh a pattern, and read it as it is now."""
    pattern.refresh_from_db(
        from_queryset=Pattern.objects.select_for_update(of=("self",), no_key=True)
    )


def _latest(pattern: Pattern) -> Calibration | None:
    """The latest that was said about whether it may change; a measurement in between says nothing of that."""
    latest: Calibration | None = pattern.calibrations.order_by("-id").first()
    return latest


def _now(pattern: Pattern) -> rules.Thresholds:
    return rules.Thresholds(pattern.strong_above, pattern.weak_from)


def _check(actor: Actor, reason: str) -> None:
    if not actor.is_person:
        raise Forbidden("Only a person can do this.")
    if not reason.strip():
        raise Invalid("Say why.", field="reason")

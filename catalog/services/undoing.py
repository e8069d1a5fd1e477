"""Taking back what a person taught, once, as far as nothing that came later rests on it."""

from __future__ import annotations

from collections import defaultdict

from django.db import IntegrityError, transaction

from governance.actors import Actor
from governance.refusals import Conflict

from ..models import Pattern, PatternMatch, PatternSignature, Teaching
from .placing import correct
from .renewal import hold_newcomers
from .teaching import check, take_in, teach

Kind = Teaching.Kind


@transaction.atomic
def undo(teaching: Teaching, *, actor: Actor, reason: str) -> Teaching:
    """Take back what was taught, and keep that it was: a Teaching of its own.

    A merge is parted again: what was decided meanwhile stays with the pattern that it was decided for. A split is
    merged back. Moved incidents go back to where they were. A name and a silence become what they were. Raises
    Forbidden, Invalid without a reason, and Conflict for a second time or where a later teaching must be undone first.
    """
    check(actor, reason)
    hold_newcomers()
    if teaching.kind == Kind.UNDONE:
        raise Conflict("What was undone can be taught again; it cannot be undone.")
    pattern = _held(teaching.pattern_id)
    other = _held(teaching.other_id) if teaching.other_id else None
    facts = _TAKEN_BACK[Kind(teaching.kind)](teaching, pattern, other, actor)
    try:
        with transaction.atomic():
            return teach(
                Kind.UNDONE,
                pattern,
                actor=actor,
                reason=reason,
                other=other,
                facts=facts,
                undoes=teaching,
            )
    except IntegrityError as second:
        raise Conflict("It was undone already.") from second


def _part(
    teaching: Teaching, root: Pattern, other: Pattern | None, actor: Actor
) -> dict[str, object]:
    moved, members = teaching.facts["moved"], teaching.facts["members"]
    still = Pattern.objects.filter(id__in=moved, root=root)
    if other is None or still.count() != len(moved):
        raise Conflict(f"{root.id} was merged or parted since: undo that first.")
    still.filter(pk=other.id).update(root=None, members=members)
    Pattern.objects.filter(id__in=members).update(root=other)
    root.members = [each for each in root.members if each not in moved]
    root.save(update_fields=["members"])
    return {}


def _merge_back(
    teaching: Teaching, new: Pattern, other: Pattern | None, actor: Actor
) -> dict[str, object]:
    if other is None or new.root_id or other.root_id:
        raise Conflict("One of the two was merged since: undo that first.")
    return dict(take_in(other, new))


def _move_back(
    teaching: Teaching, to: Pattern, other: Pattern | None, actor: Actor
) -> dict[str, object]:
    """Where a later teaching has moved an incident or a signature on, that holds."""
    before: dict[str, str] = teaching.facts["from"]
    patterns = Pattern.objects.in_bulk(set(before.values()))
    matches = [
        match
        for match in PatternMatch.objects.standing().filter(incident_id__in=before)
        if match.why.get("taught") == teaching.id
    ]
    correct(
        matches,
        {match.incident_id: patterns[before[match.incident_id]] for match in matches},
        teaching.id,
        actor,
    )
    usual = min(patterns)
    led: defaultdict[tuple[str, float, bool], list[str]] = defaultdict(list)
    for was in teaching.facts["signatures"]:
        led[was["pattern"] or usual, was.get("confidence", 1.0), was.get("is_taught", True)].append(
            was["id"]
        )
    for (pattern_id, confidence, is_taught), ids in led.items():
        PatternSignature.objects.filter(id__in=ids, pattern=to).update(
            pattern=pattern_id, confidence=confidence, is_taught=is_taught
        )
    return {"moved": len(matches)}


def _as_it_was(
    teaching: Teaching, pattern: Pattern, other: Pattern | None, actor: Actor
) -> dict[str, object]:
    """A name or a silence: the fields that it changed, as they were."""
    after, before = teaching.facts["after"], teaching.facts["before"]
    if Pattern.objects.filter(pk=pattern.pk, **after).update(**before) == 0:
        raise Conflict("It was changed again since: undo that first.")
    return {"before": after, "after": before}


_TAKEN_BACK = {
    Kind.MERGED: _part,
    Kind.SPLIT: _merge_back,
    Kind.MOVED: _move_back,
    Kind.RENAMED: _as_it_was,
    Kind.SILENCED: _as_it_was,
    Kind.HEEDED: _as_it_was,
}


def _held(pattern_id: str) -> Pattern:
    return Pattern.objects.select_for_update(of=("self",), no_key=True).get(pk=pattern_id)

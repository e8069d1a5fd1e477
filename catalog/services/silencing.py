"""Kinds of failure that a person has said are nothing to act on: expected, or ignored for a while.

Their incidents are kept, matched and counted; their loops end there, so that no recovery and no policy comes of them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from governance.actors import Actor
from governance.ids import first_id
from governance.refusals import Conflict, Invalid

from ..models import Pattern, PatternMatch, Teaching
from .teaching import check, teach

LONGEST_IGNORED = timedelta(days=90)


@transaction.atomic
def silence(
    pattern: Pattern, *, how: str, actor: Actor, reason: str, until: datetime | None = None
) -> Teaching:
    """Let what is of this pattern be kept and nothing come of it: `how` is expected or ignored.

    What is ignored is ignored until a moment, at most 90 days ahead; what is expected may be so for good. Raises
    Forbidden, Invalid, and Conflict for a pattern that was merged into another.
    """
    check(actor, reason)
    if how not in Pattern.Silence.values:
        raise Invalid(f"One of {', '.join(Pattern.Silence.values)}.", field="how")
    now = timezone.now()
    if until is None and how == Pattern.Silence.IGNORED:
        raise Invalid("Say until when: what is ignored for good is expected.", field="until")
    if until is not None and not now < until <= now + LONGEST_IGNORED:
        raise Invalid(
            f"Within the next {LONGEST_IGNORED.days} days, as a date and a time.", field="until"
        )
    return _become(pattern, Teaching.Kind.SILENCED, how, now, until, actor, reason)


@transaction.atomic
def heed(pattern: Pattern, *, actor: Actor, reason: str) -> Teaching:
    """Let loops of this pattern go on again. Raises Forbidden, Invalid, and Conflict where it was not silenced."""
    check(actor, reason)
    return _become(pattern, Teaching.Kind.HEEDED, "", None, None, actor, reason)


def silenced_of(pattern_ids: Collection[str]) -> dict[str, str]:
    """How those of these patterns are silenced that are, now; by id."""
    found = Pattern.objects.silenced().filter(id__any=list(pattern_ids))
    return dict(found.values_list("id", "silenced_as"))


def count_silenced(pattern: Pattern) -> int:
    """Incidents that came while the pattern's latest silence held, until now."""
    if pattern.silenced_at is None:
        return 0
    found = PatternMatch.objects.filter(
        pattern__any=pattern.family, id__gte=first_id("mat", pattern.silenced_at), corrects=None
    )
    if pattern.silenced_until is not None:
        found = found.filter(id__lt=first_id("mat", pattern.silenced_until))
    return found.count()


def _become(
    pattern: Pattern,
    kind: str,
    how: str,
    at: datetime | None,
    until: datetime | None,
    actor: Actor,
    reason: str,
) -> Teaching:
    held = Pattern.objects.select_for_update(of=("self",), no_key=True).get(pk=pattern.pk)
    if held.root_id:
        raise Conflict(f"{held.id} was merged into {held.root_id}: silence that one.")
    if kind == Teaching.Kind.HEEDED and not held.silenced_as:
        raise Conflict("It is not silenced.")
    before, after = _said(held), {"silenced_as": how, "silenced_at": at, "silenced_until": until}
    for record in (held, pattern):
        for name, value in after.items():
            setattr(record, name, value)
    held.save(update_fields=list(after))
    facts = {"before": before, "after": _said(held)}
    return teach(kind, held, actor=actor, reason=reason, facts=facts)


def _said(pattern: Pattern) -> dict[str, str | None]:
    """As it can be kept in a record, and asked for again."""
    return {
        "silenced_as": pattern.silenced_as,
        "silenced_at": pattern.silenced_at.isoformat() if pattern.silenced_at else None,
        "silenced_until": pattern.silenced_until.isoformat() if pattern.silenced_until else None,
    }

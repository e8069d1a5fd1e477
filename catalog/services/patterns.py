"""What people decide about a pattern, and what a story says of it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from governance import ledger
from governance.actors import Actor
from governance.refusals import Forbidden, Invalid

from ..models import Pattern, PatternMatch, Teaching
from .recognition import valid_name
from .teaching import teach


def set_auto_apply(pattern: Pattern, on: bool, *, actor: Actor, reason: str) -> None:  # noqa: FBT001 - the verb's object
    """Trust, or no longer trust, the pattern's recovery to be applied without asking.

    Raises Forbidden for who is not a person, and Invalid without a reason. Saying it twice changes nothing.
    """
    if not actor.is_person:
        raise Forbidden("Only a person can trust a recovery to be applied without asking.")
    if not reason.strip():
        raise Invalid("Say why.", field="reason")
    changed = (
        Pattern.objects.filter(pk=pattern.pk)
        .exclude(auto_apply_recovery=on)
        .update(auto_apply_recovery=on)
    )
    pattern.auto_apply_recovery = on
    if changed:
        ledger.append(
            f"pattern.auto_apply_{'on' if on else 'off'}", pattern.id, actor=actor, reason=reason
        )


def set_thresholds(
    pattern: Pattern, *, strong_above: float, weak_from: float, actor: Actor, reason: str
) -> None:
    """From which confidence on a match with the pattern counts as weak, and above which as strong.

    Raises Invalid unless 0 <= weak <= strong <= 1. Saying it twice changes nothing.
    """
    if not 0 <= weak_from <= strong_above <= 1:
        raise Invalid("Thresholds are in order, from 0 to 1.", field="strong_above")
    held = Pattern.objects.select_for_update(no_key=True).only("strong_above", "weak_from")
    before = held.get(pk=pattern.pk)
    pattern.strong_above, pattern.weak_from = strong_above, weak_from
    if (before.strong_above, before.weak_from) != (strong_above, weak_from):
        pattern.save(update_fields=["strong_above", "weak_from"])
        ledger.append(
            "pattern.thresholds",
            pattern.id,
            actor=actor,
            reason=reason,
            before=[before.strong_above, before.weak_from],
            after=[strong_above, weak_from],
        )


@transaction.atomic
def rename(pattern: Pattern, name: str, *, actor: Actor, reason: str = "") -> Teaching | None:
    """Give a pattern a name that says more; None where it has that name.

    Raises Invalid for an empty one or one over 300 characters.
    """
    name = valid_name(name)
    before = Pattern.objects.select_for_update().values_list("name", flat=True).get(pk=pattern.pk)
    pattern.name = name
    if before == name:
        return None
    pattern.save(update_fields=["name"])
    facts = {"before": {"name": before}, "after": {"name": name}}
    return teach(Teaching.Kind.RENAMED, pattern, actor=actor, reason=reason, facts=facts)


def story(match_id: str) -> dict[str, Any] | None:
    """What a story says of a match; None where the tenant has no such match."""
    match = PatternMatch.objects.filter(pk=match_id).first()
    shown = ("id", "pattern_id", "confidence", "band", "is_new")
    return {name: getattr(match, name) for name in shown} if match else None


def pattern_story(pattern_id: str) -> dict[str, Any] | None:
    """What a story says of a pattern; None where the tenant has no such pattern."""
    pattern = Pattern.objects.filter(pk=pattern_id).with_occurrences().first()
    shown = ("id", "name", "error_type", "tool", "occurrences", "first_seen", "last_seen")
    return {name: getattr(pattern, name) for name in shown} if pattern else None

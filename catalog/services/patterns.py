"""What people decide about a pattern, and what a story says of it."""

from __future__ import annotations

from typing import Any

from governance import ledger
from governance.actors import Actor
from governance.refusals import Forbidden, Invalid

from ..models import Pattern, PatternMatch

LONGEST_NAME = 300


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


def rename(pattern: Pattern, name: str, *, actor: Actor, reason: str = "") -> None:
    """Give a pattern a name that says more. Raises Invalid for an empty one or one over 300 characters."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A name has 1 to {LONGEST_NAME} printable characters.", field="name")
    before = Pattern.objects.select_for_update().values_list("name", flat=True).get(pk=pattern.pk)
    pattern.name = name
    if before != name:
        pattern.save(update_fields=["name"])
        ledger.append(
            "pattern.renamed", pattern.id, actor=actor, reason=reason, before=before, after=name
        )


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

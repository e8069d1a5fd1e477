"""What people teach about how failures are grouped: merge two kinds, split one, move incidents.

Each is one Teaching, which later failures obey, re-signing too, until it is undone (``undoing.py``). No two are
carried out at a time in a tenant, and no unknown failure is placed meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from governance import ledger
from governance.actors import Actor
from governance.ids import new_id
from governance.refusals import Conflict, Forbidden, Invalid

from ..models import Pattern, PatternMatch, Teaching
from ..rules import refined
from ..rules.signature import shape_of
from ..rules.telling import branch_of
from .placing import Signed, carry_out, correct, planned, signed, standing_of
from .recognition import opened, valid_name
from .renewal import hold_newcomers

MOST_AT_ONCE = 200
NAMED_AT_MOST = 3

Kind = Teaching.Kind


@transaction.atomic
def merge(pattern: Pattern, *, into: Pattern | str, actor: Actor, reason: str) -> Teaching:
    """From now on what is of this pattern is of another one: they are one kind of failure.

    Recoveries and policies of both hold for it. Raises Forbidden for who is no person, Invalid, and Conflict where
    either is part of another pattern already.
    """
    check(actor, reason)
    hold_newcomers()
    into_id = into if isinstance(into, str) else into.id
    if into_id == pattern.id:
        raise Invalid("A pattern cannot be merged into itself.", field="into")
    root = Pattern.objects.filter(pk=into_id).first()
    if root is None:
        raise Invalid(f"There is no pattern {into_id}.", field="into")
    merged = _held(pattern.id)
    facts = take_in(_held(root.id), merged)
    return teach(Kind.MERGED, root, actor=actor, reason=reason, other=merged, facts=facts)


@transaction.atomic
def split(
    pattern: Pattern, *, incidents: Collection[str], actor: Actor, reason: str, name: str = ""
) -> Teaching:
    """Some incidents of a pattern, by id, are another kind of failure, a new pattern: ``teaching.pattern``.

    Raises Forbidden, Invalid where an incident is not of the pattern or none would stay, and Conflict where nothing
    in what they say tells them from those that stay.
    """
    check(actor, reason)
    hold_newcomers()
    held = _held(pattern.id)
    chosen = _chosen(incidents)
    _require_all_of(held, chosen)
    gone = [each.incident.id for each in chosen]
    if not standing_of([held.id]).exclude(incident_id__in=gone).exists():
        raise Invalid(
            "All of its incidents: then nothing would stay. Rename it.", field="incidents"
        )
    plan = planned(chosen)
    if plan.alike:
        raise Conflict(
            "Nothing in what they say tells these incidents from others that stay: "
            f"{_named(plan.alike)}.",
            incidents=[each.incident.id for each in plan.alike],
        )
    new = _new(chosen, name)
    new.save(force_insert=True)
    facts = {"signatures": carry_out(plan, new)}
    return _placed(Kind.SPLIT, new, held, chosen, facts, actor, reason)


@transaction.atomic
def move(pattern: Pattern, *, incidents: Collection[str], actor: Actor, reason: str) -> Teaching:
    """Some incidents, by id and of whatever patterns, are of this one, and so are later ones that say the same.

    Where nothing tells an incident from others that stay, it is moved and nothing is learned from it: it is named in
    ``facts["alike"]``. Raises Forbidden, and Invalid where an incident is unknown or is of the pattern already.
    """
    check(actor, reason)
    hold_newcomers()
    held = _held(pattern.id)
    chosen = _chosen(incidents)
    if there := [each for each in chosen if each.match.pattern_id in held.family]:
        raise Invalid(f"Of this pattern already: {_named(there)}.", field="incidents")
    plan = planned(chosen)
    before = {each.match.pattern_id for each in chosen}
    other = chosen[0].match.pattern if len(before) == 1 else None
    facts = {
        "signatures": carry_out(plan, held),
        "alike": [each.incident.id for each in plan.alike],
    }
    return _placed(Kind.MOVED, held, other, chosen, facts, actor, reason)


def take_in(root: Pattern, merged: Pattern) -> dict[str, list[str]]:
    """Make a pattern and all that was merged into it part of another; what is needed to undo it."""
    moved = [merged.id, *merged.members]
    facts = {"moved": moved, "members": list(merged.members)}
    Pattern.objects.filter(id__in=moved).update(root=root, members=[])
    root.members = [*root.members, *moved]
    root.save(update_fields=["members"])
    return facts


def teach(
    kind: str,
    pattern: Pattern,
    *,
    actor: Actor,
    reason: str,
    other: Pattern | None = None,
    facts: Mapping[str, Any] | None = None,
    undoes: Teaching | None = None,
    id: str = "",
) -> Teaching:
    """Keep what a person said, and write the ledger. Raises IntegrityError where the same was undone before."""
    teaching = Teaching.objects.create(
        id=id or new_id("tch"),
        kind=kind,
        pattern=pattern,
        other=other,
        undoes=undoes,
        facts=dict(facts or {}),
        actor=str(actor),
        reason=reason,
    )
    ledger.append(
        f"pattern.{kind}",
        pattern.id,
        actor=actor,
        reason=reason,
        teaching=teaching.id,
        **({"other": other.id} if other else {}),
        **({"undoes": undoes.id} if undoes else {}),
    )
    return teaching


def taught(pattern: Pattern, most: int) -> list[Teaching]:
    """What people said last about a pattern, with ``is_undone``."""
    undone = Teaching.objects.filter(undoes=OuterRef("pk"))
    about = Teaching.objects.filter(Q(pattern=pattern.id) | Q(other=pattern.id))
    return list(
        about.select_related("pattern", "other")
        .annotate(is_undone=Exists(undone))
        .order_by("-id")[:most]
    )


def check(actor: Actor, reason: str) -> None:
    """Only people teach, and they say why. Raises Forbidden or Invalid."""
    if not actor.is_person:
        raise Forbidden("Only a person can say how failures are grouped.")
    if not reason.strip():
        raise Invalid("Say why.", field="reason")


def _held(pattern_id: str) -> Pattern:
    """The pattern as it is now. Raises Conflict where it is part of another one."""
    found = Pattern.objects.select_for_update(of=("self",), no_key=True).get(pk=pattern_id)
    if found.root_id:
        raise Conflict(
            f"{found.id} was merged into {found.root_id}: undo that first, or use that one.",
            root=found.root_id,
        )
    return found


def _chosen(incidents: Collection[str]) -> list[Signed]:
    """The matches that count of these incidents, signed. Raises Invalid for too many, none, or an unknown one."""
    wanted = list(dict.fromkeys(incidents))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise Invalid(f"Name 1 to {MOST_AT_ONCE} incidents.", field="incidents")
    matches = list(
        PatternMatch.objects.standing()
        .filter(incident_id__in=wanted)
        .select_related("incident", "pattern")
        .order_by("id")
    )
    if missing := sorted(set(wanted) - {match.incident_id for match in matches}):
        raise Invalid(f"Of no pattern, or unknown: {missing[0]}.", field="incidents")
    return signed(matches)


def _require_all_of(pattern: Pattern, chosen: Sequence[Signed]) -> None:
    family = set(pattern.family)
    if others := [each for each in chosen if each.match.pattern_id not in family]:
        raise Invalid(f"Not of this pattern: {_named(others)}.", field="incidents")


def _new(chosen: Sequence[Signed], name: str) -> Pattern:
    """The pattern that these incidents are from now on, with what they have in common as its template."""
    first, *others = (each.made for each in chosen)
    pattern = opened(new_id("pat"), first)
    # Its first signature may be one that the old pattern keeps: the hash is its own.
    pattern.signature = branch_of(first.hash, pattern.id)
    for each in others:
        pattern.template = refined(pattern.template, shape_of(pattern.template), each)
    if name.strip():
        pattern.name = valid_name(name)
    return pattern


def _placed(
    kind: str,
    to: Pattern,
    other: Pattern | None,
    chosen: Sequence[Signed],
    facts: Mapping[str, Any],
    actor: Actor,
    reason: str,
) -> Teaching:
    """Correct the matches, and keep what was said."""
    id = new_id("tch")
    before = {each.incident.id: each.match.pattern_id for each in chosen}
    correct([each.match for each in chosen], dict.fromkeys(before, to), id, actor)
    return teach(
        kind, to, actor=actor, reason=reason, other=other, facts={**facts, "from": before}, id=id
    )


def _named(some: Sequence[Signed]) -> str:
    ids = [each.incident.id for each in some]
    more = f" and {len(ids) - NAMED_AT_MOST} more" if len(ids) > NAMED_AT_MOST else ""
    return ", ".join(ids[:NAMED_AT_MOST]) + more

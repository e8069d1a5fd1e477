"""Putting incidents into another pattern because a person said so, and seeing to it that later ones like them follow.

What tells them from those that stay is their signature; where failures of both are signed alike it is a word that the
signature masks, and a branch of it is made for that word (``rules/telling.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from governance.actors import Actor
from governance.database.compiled import compiled
from governance.database.inserts import insert
from governance.ids import new_id
from governance.redaction import text
from governance.story.events import tell
from incidents.models import Incident
from incidents.services import newest_trace

from ..models import Pattern, PatternKey, PatternMatch, PatternSignature
from ..rules import Band, Signature, keys_of
from ..rules.telling import branch_of, said, telling_words
from .recognition import Known, look_up
from .renewal import sign

# Newest incidents of a pattern in which a telling word must not stand.
LOOKED_AT = 1_000


@dataclass(slots=True)
class Signed:
    """An incident with its match that counts, its signature, and the hash it is known by."""

    match: PatternMatch
    made: Signature
    hash: str

    @property
    def incident(self) -> Incident:
        """The incident, whole."""
        incident: Incident = self.match.incident
        return incident

    @property
    def words(self) -> set[str]:
        """The words of its message as it came."""
        return set(said(self.incident.message))


@dataclass(slots=True)
class Placing:
    """How some incidents are to be told from those that stay, before anything is written.

    ``whole`` are signatures whose every failure goes, by hash; ``branches`` the words that tell some of those of a
    signature apart; ``alike`` are incidents that nothing tells from one that stays.
    """

    whole: dict[str, Signed] = field(default_factory=dict)
    branches: dict[tuple[str, str], Signed] = field(default_factory=dict)
    alike: list[Signed] = field(default_factory=list)


def signed(matches: Sequence[PatternMatch]) -> list[Signed]:
    """These matches, read with their incidents, and how each failure is known."""
    made = {match.id: sign(match.incident) for match in matches}
    known = Known()
    look_up(known, {each.hash for each in made.values()})
    return [
        Signed(match, made[match.id], known.hash_of(match.incident, made[match.id]))
        for match in matches
    ]


def planned(apart: Collection[Signed]) -> Placing:
    """What tells these incidents from all others that are signed like them, wherever those are now."""
    plan, groups = Placing(), defaultdict(list)
    for each in apart:
        groups[each.hash].append(each)
    gone = {each.incident.id for each in apart}
    for hash, group in groups.items():
        stay = _others(group[0].made.hash, group, gone)
        if not any(each.hash == hash for each in stay):
            plan.whole[hash] = group[0]
            continue
        words = telling_words(
            [each.incident.message for each in group], [each.incident.message for each in stay]
        )
        if not words:
            plan.alike += group
        for word in words:
            having = next(each for each in group if word in each.words)
            plan.branches[having.made.hash, word] = having
    return plan


def carry_out(plan: Placing, to: Pattern) -> list[dict[str, Any]]:
    """Let the signatures and branches lead to a pattern; what each of them was before, to undo it."""
    rows = {each.hash: each for each in PatternSignature.objects.filter(hash__in=_hashes(plan))}
    before = [
        {
            "id": row.id,
            "pattern": row.pattern_id,
            "confidence": row.confidence,
            "is_taught": row.is_taught,
        }
        for row in rows.values()
    ]
    PatternSignature.objects.filter(id__in=[row.id for row in rows.values()]).update(
        pattern=to, confidence=1.0, is_taught=True
    )
    new = [row for row in _wanted(plan, to) if row.hash not in rows]
    insert(new)
    bases = {base for base, _ in plan.branches}
    PatternSignature.objects.filter(hash__in=bases).update(is_forked=True)
    # A branch is found by its word; only what goes whole is found by what is like it too.
    insert(
        (
            PatternKey(key=key, pattern=to)
            for key in {key for each in plan.whole.values() for key in keys_of(each.made)}
        ),
        ignore_conflicts=True,
    )
    return [*before, *({"id": row.id, "pattern": None} for row in new)]


def correct(
    matches: Sequence[PatternMatch], to: Mapping[str, Pattern], teaching_id: str, actor: Actor
) -> list[PatternMatch]:
    """Write matches in the place of these, with the pattern for each incident, and tell their stories."""
    made = [
        PatternMatch(
            id=new_id("mat"),
            incident=match.incident,
            pattern=to[match.incident_id],
            confidence=1.0,
            band=Band.STRONG.value,
            corrects=match,
            why={"taught": teaching_id, "occurrence": match.why.get("occurrence", 1)},
        )
        for match in matches
    ]
    insert(made)
    for match in made:
        tell(
            newest_trace(match.incident_id).id,
            "match_corrected",
            f"A person said that this is of another kind: {text(match.pattern.name)}",
            actor=actor,
            subject=match.id,
            details={"pattern_id": match.pattern_id, "teaching_id": teaching_id},
        )
    return made


def _hashes(plan: Placing) -> list[str]:
    return [*plan.whole, *(branch_of(base, word) for base, word in plan.branches)]


def _wanted(plan: Placing, to: Pattern) -> list[PatternSignature]:
    """A row for each signature and branch of the plan, were there none."""
    rows = [
        PatternSignature(
            pattern=to,
            incident=each.incident,
            hash=hash,
            version=each.made.version,
            confidence=1.0,
            is_taught=True,
        )
        for hash, each in plan.whole.items()
    ]
    return rows + [
        PatternSignature(
            pattern=to,
            incident=each.incident,
            hash=branch_of(base, word),
            base=base,
            word=word,
            version=each.made.version,
            confidence=1.0,
            is_taught=True,
        )
        for (base, word), each in plan.branches.items()
    ]


def _others(base: str, group: Sequence[Signed], gone: Collection[str]) -> list[Signed]:
    """The newest incidents that share a signature with a group and do not go: of its patterns, and of all branches."""
    families = {each.match.pattern_id for each in group}
    families |= set(PatternSignature.objects.filter(base=base).values_list("pattern_id", flat=True))
    matches = standing_of(families).exclude(incident_id__in=gone)[:LOOKED_AT]
    return [each for each in signed(list(matches)) if each.made.hash == base]


def standing_of(patterns: Collection[str]) -> Any:
    """The matches that count of these patterns and of all that were merged with them, the newest first."""
    ids = family_of(patterns)
    found = PatternMatch.objects.standing().filter(pattern__any=ids)
    return found.select_related("incident", "pattern").order_by("-id")


def family_of(patterns: Collection[str]) -> list[str]:
    """The ids of all patterns that are the same kinds of failure as these, themselves included."""
    return sorted({each for family in families_of(patterns).values() for each in family})


def families_of(patterns: Collection[str]) -> dict[str, list[str]]:
    """For each of these patterns, by id, all that are the same kind of failure; asks nothing for none."""
    if not patterns:
        return {}
    root_of = dict(_roots_of(list(patterns)))
    roots = {each.id: each for each in _patterns(list(root_of.values()))}
    return {name: roots[root].family for name, root in root_of.items()}


@compiled
def _roots_of(patterns: Sequence[str]) -> QuerySet[Pattern, tuple[str, str]]:
    of_these = Pattern.objects.filter(id__any=patterns).order_by()
    return of_these.values_list("id", Coalesce("root_id", "id"))


@compiled
def _patterns(ids: Sequence[str]) -> QuerySet[Pattern]:
    return Pattern.objects.filter(id__any=ids).order_by()

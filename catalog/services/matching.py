"""Which kind of failure an incident is: one known by its signature, one much like it, or a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from django.db.models import QuerySet

from governance.database.compiled import compiled
from governance.database.inserts import insert
from governance.refusals import Refusal
from incidents.models import Incident

from ..models import PatternMatch
from ..rules import Signature
from .recognition import SEEN_MOST, Known, recognised, same
from .renewal import sign


class NothingToMatch(Refusal):
    """The incident came without an error type and a message: nothing to recognise it by."""

    code: ClassVar[str] = "match_failed"


def match_incident(incident: Incident) -> PatternMatch:
    """Recognise one incident. Raises NothingToMatch."""
    matches = match_incidents([incident])
    if incident.id not in matches:
        raise NothingToMatch(
            "It came without an error type and a message: there is nothing to recognise it by."
        )
    return matches[incident.id]


def match_incidents(incidents: Iterable[Incident]) -> dict[str, PatternMatch]:
    """Recognise incidents of the tenant in scope, in their order: the match of each, by incident id.

    An incident that has a match keeps it. One that came without an error type and a message is
    missing from the answer.
    """
    made, found = recognise(incidents)
    return found | made


def matches_of(incident_ids: Iterable[str]) -> dict[str, PatternMatch]:
    """The matches that these incidents have already, as people have corrected them, with their patterns."""
    return {match.incident_id: match for match in _matched(list(incident_ids))}


@compiled
def _matched(incident_ids: Sequence[str]) -> QuerySet[PatternMatch]:
    """In their order: what corrects another comes after it, and so is the one that counts."""
    matches = PatternMatch.objects.filter(incident_id__any=incident_ids)
    return matches.select_related("pattern").order_by("id")


def recognise(
    incidents: Iterable[Incident],
) -> tuple[dict[str, PatternMatch], dict[str, PatternMatch]]:
    """Write a match for each incident that has none: those written now, and those that were there, by incident id.

    Where every failure is known it takes two statements, however many incidents there are; they
    see one another, so their order decides which of them opens a pattern. One that came without an
    error type and a message is in neither answer.
    """
    signatures = {
        incident: signed
        for incident in incidents
        if (signed := sign(incident)).error_type or signed.template or signed.frames
    }
    if not signatures:
        return {}, {}
    made = {match.incident_id: match for match in _matches(signatures, recognised(signatures))}
    # Hardly ever is one there, so the constraint tells and nobody asks before.
    if insert(made.values(), ignore_conflicts=True) == len(made):
        return made, {}
    written = {match.id for match in _written([each.id for each in made.values()])}
    fresh = {name: match for name, match in made.items() if match.id in written}
    return fresh, matches_of(made.keys() - fresh.keys())


@compiled
def _written(ids: Sequence[str]) -> QuerySet[PatternMatch]:
    return PatternMatch.objects.filter(id__any=ids)


def _matches(signatures: Mapping[Incident, Signature], known: Known) -> Iterable[PatternMatch]:
    """The rows to write, in order: after the incident that opens a pattern, the same failure is known."""
    for incident, made in signatures.items():
        hash = known.hash_of(incident, made)
        recognition = known.recognised[hash]
        pattern = recognition.pattern
        known.seen[pattern.id] += 1
        if recognition.is_new:
            known.recognised[hash] = same(pattern)
        yield PatternMatch(
            incident=incident,
            pattern=pattern,
            confidence=recognition.confidence,
            band=recognition.band.value,
            is_new=recognition.is_new,
            why={**recognition.why, "occurrence": min(known.seen[pattern.id], SEEN_MOST)},
        )

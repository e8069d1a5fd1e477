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
    wanted = {incident.id: incident for incident in incidents}
    found = matches_of(wanted)
    return found | recognise(each for name, each in wanted.items() if name not in found)


def matches_of(incident_ids: Iterable[str]) -> dict[str, PatternMatch]:
    """The matches that these incidents have already, as people have corrected them, with their patterns."""
    return {match.incident_id: match for match in _matched(list(incident_ids))}


@compiled
def _matched(incident_ids: Sequence[str]) -> QuerySet[PatternMatch]:
    """In their order: what corrects another comes after it, and so is the one that counts."""
    matches = PatternMatch.objects.filter(incident_id__any=incident_ids)
    return matches.select_related("pattern").order_by("id")


def recognise(incidents: Iterable[Incident]) -> dict[str, PatternMatch]:
    """Write a match for each of these incidents, which have none; by incident id, in their order.

    Where every failure is known it takes two statements, however many incidents there are; they
    see one another, so their order decides which of them opens a pattern. One that came without an
    error type and a message is missing from the answer.
    """
    signatures = {
        incident: made
        for incident in incidents
        if (made := sign(incident)).error_type or made.template or made.frames
    }
    if not signatures:
        return {}
    matches = list(_matches(signatures, recognised(signatures)))
    insert(matches)
    return {match.incident_id: match for match in matches}


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

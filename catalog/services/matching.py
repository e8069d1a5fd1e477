"""Which kind of failure an incident is: one known by its signature, one much like it, or a new one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from governance.database.compiled import compiled
from governance.database.inserts import insert
from governance.database.tenancy import required_tenant
from governance.refusals import Refusal
from incidents.models import Incident

from ..models import Pattern, PatternMatch
from ..rules import Band, Signature, band_for, evidence, signature, signature_of, similarity

# How many patterns of its error type an unknown failure is compared with, newest first. Patterns of
# another error type stay below weak whatever they say (rules.OTHER_ERROR_TYPE), so they are not
# read. A comparison takes 15 us, making a stored signature again 75 us: 45 ms in the worst case.
CANDIDATES = 500

# How far occurrences are counted for the evidence of a match; patterns of one failure in a million
# and of a million failures then cost the same.
SEEN_MOST = 100

LONGEST_NAME = 300


class NothingToMatch(Refusal):
    """The incident came without an error type and a message: nothing to recognise it by."""

    code: ClassVar[str] = "match_failed"


class Candidate(NamedTuple):
    """A pattern at hand, with its signature made again for comparing."""

    pattern: Pattern
    signature: Signature


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a signature was recognised as: the pattern, how surely (0 to 1), and why."""

    pattern: Pattern
    confidence: float
    band: Band
    why: Mapping[str, Any]
    is_new: bool = False


@dataclass(slots=True)
class Known:
    """What each signature (by its hash) was recognised as, and how often each pattern was seen before."""

    recognised: dict[str, Recognition] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)


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
    """The matches that these incidents have already, with their patterns, by incident id."""
    return {match.incident_id: match for match in _matched(list(incident_ids))}


@compiled
def _matched(incident_ids: Sequence[str]) -> QuerySet[PatternMatch]:
    return PatternMatch.objects.filter(incident_id__any=incident_ids).select_related("pattern")


def recognise(incidents: Iterable[Incident]) -> dict[str, PatternMatch]:
    """Write a match for each of these incidents, which have none; by incident id, in their order.

    Where every failure is known it takes two statements, however many incidents there are; they
    see one another, so their order decides which of them opens a pattern. One that came without an
    error type and a message is missing from the answer.
    """
    signatures = {
        incident: made
        for incident in incidents
        if (made := signature(incident.error_type, incident.tool, incident.message)).error_type
        or made.template
    }
    if not signatures:
        return {}
    known = _recognise(signatures.values())
    matches = list(_matches(signatures, known))
    insert(matches)
    return {match.incident_id: match for match in matches}


def _recognise(signatures: Iterable[Signature]) -> Known:
    """Look the signatures up; what is unknown is compared, or opened, while nobody else opens patterns."""
    by_hash = {each.hash: each for each in signatures}
    known = Known()
    _look_up(known, by_hash)
    if len(known.recognised) < len(by_hash):
        _hold_newcomers()
        # Again, and in a statement of its own: what others committed while we waited is seen only now.
        _look_up(known, by_hash.keys() - known.recognised.keys())
        _compare(known, [each for name, each in by_hash.items() if name not in known.recognised])
    return known


def _look_up(known: Known, hashes: Iterable[str]) -> None:
    for pattern in _patterns(list(hashes)):
        known.recognised[pattern.signature] = _same(pattern)
        known.seen[pattern.id] = pattern.seen


@compiled
def _patterns(hashes: Sequence[str]) -> QuerySet[Pattern]:
    return Pattern.objects.filter(signature__any=hashes).seen_up_to(SEEN_MOST)


def _hold_newcomers() -> None:
    """Make whoever else meets an unknown failure of this tenant wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"catalog.patterns:{required_tenant()}"],
        )


def _compare(known: Known, newcomers: list[Signature]) -> None:
    """Let each join the pattern that it is most like, or open its own. Holds the lock.

    The unique constraint has the last word: an IntegrityError would mean that somebody wrote past the
    lock, and landing again finds that pattern.
    """
    candidates: dict[str, deque[Candidate]] = {}
    for newcomer in newcomers:
        if newcomer.error_type not in candidates:
            candidates[newcomer.error_type] = _candidates(newcomer.error_type)
        at_hand = candidates[newcomer.error_type]
        recognition = _closest(newcomer, at_hand)
        if recognition.is_new:
            at_hand.append(Candidate(recognition.pattern, newcomer))
        known.recognised[newcomer.hash] = recognition
    recognised = [known.recognised[newcomer.hash] for newcomer in newcomers]
    Pattern.objects.bulk_create([each.pattern for each in recognised if each.is_new])
    joined = {each.pattern.id for each in recognised if not each.is_new} - known.seen.keys()
    if joined:
        known.seen.update(
            {
                each.id: each.seen
                for each in Pattern.objects.filter(id__in=joined).seen_up_to(SEEN_MOST)
            }
        )


def _candidates(error_type: str) -> deque[Candidate]:
    """The newest patterns of an error type, oldest of them first: of two equally like, the older is joined."""
    newest = Pattern.objects.filter(error_type=error_type).order_by("-id")[:CANDIDATES]
    made = [
        Candidate(each, signature_of(each.error_type, each.tool, each.template)) for each in newest
    ]
    return deque(reversed(made), maxlen=CANDIDATES)


def _closest(newcomer: Signature, candidates: Iterable[Candidate]) -> Recognition:
    """The most similar pattern that is similar enough by its own threshold, or else a new one."""
    scored = [(similarity(newcomer, each.signature), each) for each in candidates]
    enough = [(score, each) for score, each in scored if score >= each.pattern.weak_from]
    if enough:
        score, (pattern, like) = max(enough, key=_score)
        band = band_for(score, pattern.strong_above, pattern.weak_from)
        return Recognition(pattern, score, band, evidence(newcomer, like))
    if not scored:
        return Recognition(_new_pattern(newcomer), 0.0, Band.NOVEL, {"nearest": None}, is_new=True)
    score, (pattern, unlike) = max(scored, key=_score)
    why = {"nearest": {"pattern_id": pattern.id, **evidence(newcomer, unlike)}}
    return Recognition(_new_pattern(newcomer), score, Band.NOVEL, why, is_new=True)


def _score(scored: tuple[float, Candidate]) -> float:
    return scored[0]


def _same(pattern: Pattern) -> Recognition:
    """Equal signatures say all there is to say."""
    why = {
        "similarity": 1.0,
        "same_signature": True,
        "signature_version": pattern.signature_version,
    }
    return Recognition(pattern, 1.0, Band.STRONG, why)


def _new_pattern(newcomer: Signature) -> Pattern:
    return Pattern(
        name=_name(newcomer),
        error_type=newcomer.error_type,
        tool=newcomer.tool,
        template=newcomer.template,
        signature=newcomer.hash,
        signature_version=newcomer.version,
    )


def _name(newcomer: Signature) -> str:
    """ "OperationalError in sql_query: no such column <str>", until a person finds a better one."""
    kind = newcomer.error_type or "Failure"
    where = f" in {newcomer.tool}" if newcomer.tool else ""
    what = f": {newcomer.template}" if newcomer.template else ""
    return f"{kind}{where}{what}"[:LONGEST_NAME].rstrip()


def _matches(signatures: Mapping[Incident, Signature], known: Known) -> Iterable[PatternMatch]:
    """The rows to write, in order: after the incident that opens a pattern, the same failure is known."""
    for incident, made in signatures.items():
        recognition = known.recognised[made.hash]
        pattern = recognition.pattern
        known.seen[pattern.id] += 1
        if recognition.is_new:
            known.recognised[made.hash] = _same(pattern)
        yield PatternMatch(
            incident=incident,
            pattern=pattern,
            confidence=recognition.confidence,
            band=recognition.band.value,
            is_new=recognition.is_new,
            why={**recognition.why, "occurrence": min(known.seen[pattern.id], SEEN_MOST)},
        )

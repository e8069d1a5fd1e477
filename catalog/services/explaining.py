"""Why an incident was recognised as what it was, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance import redaction

from ..models import Pattern, PatternMatch, PatternSignature
from ..rules import evidence
from .recognition import signature_at
from .renewal import sign


@dataclass(frozen=True, slots=True)
class Nearest:
    """The pattern that came next, and how surely it would have been that one (0 to 1)."""

    id: str
    name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why one incident is of its kind, in lines for people, without secrets.

    ``only_here`` are words of the incident, ``only_there`` of the pattern; where a kind was new, they are beside the
    nearest that was known. ``origin`` is what was left of the score for another tool or error type, 1 for the same.
    """

    match: PatternMatch
    agreed: str
    only_here: str
    only_there: str
    frames: str
    masked: tuple[tuple[str, int], ...]
    origin: float
    is_decided_before: bool
    nearest: Nearest | None


def told(match: PatternMatch) -> dict[str, str]:
    """What a match rests on, a line each, from what was stored with it."""
    why: dict[str, Any] = match.why
    found = why.get("nearest") or why if match.is_new else why
    lines = {
        "words that agree": " ".join(found.get("words_agreed", [])),
        "words only here": " ".join(found.get("words_only_here", [])),
        "words only there": " ".join(found.get("words_only_there", [])),
        "frames that agree": ", ".join(found.get("frames_agreed", [])),
        "masked": ", ".join(f"{n} {kind}" for kind, n in found.get("placeholders", {}).items()),
        "nearest other": _nearest(match, found),
    }
    if found.get("same_signature"):
        lines["signature"] = "equal to one that was decided before"
    return {name: line for name, line in lines.items() if line}


def explained(match: PatternMatch) -> dict[str, Any]:
    """The evidence of a match in full: as it was stored, and for a known signature as it was when that was decided.

    What agreed with a known signature is all of it, so it is told from the incident as it came and the pattern as it
    is now.
    """
    return _explained(match, _firsts([match]))


def reasons(match_id: str) -> Reasons | None:
    """Why the incident of a match is of its kind; None where the tenant has no such match."""
    found = PatternMatch.objects.select_related("pattern", "incident").filter(pk=match_id).first()
    return reasons_of([found])[0] if found else None


def reasons_of(matches: Sequence[PatternMatch]) -> list[Reasons]:
    """The same for several, in their order, by three statements; they bring their patterns and incidents."""
    firsts = _firsts(matches)
    told = [(match, _evidence_in(match, _explained(match, firsts))) for match in matches]
    others = {_other(found).get("pattern_id", "") for _, found in told} - {""}
    names = dict(Pattern.objects.filter(pk__in=others).values_list("id", "name"))
    return [_reasons(match, found, names) for match, found in told]


def _explained(match: PatternMatch, firsts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    why: dict[str, Any] = dict(match.why)
    if "words_agreed" in why or match.is_new:
        return why
    made = sign(match.incident)
    first = firsts.get(why.get("signature_id", ""), {})
    origin = {"nearest_other": first["nearest_other"]} if first.get("nearest_other") else {}
    return {**evidence(made, signature_at(match.pattern)), **origin, **why}


def compared(one: Pattern, other: Pattern) -> dict[str, Any]:
    """How like two patterns are, and what that rests on."""
    return evidence(signature_at(one), signature_at(other))


def _firsts(matches: Iterable[PatternMatch]) -> dict[str, dict[str, Any]]:
    """The evidence that was stored when a signature was decided, by the signature's id; none that came another way."""
    wanted = {each.why["signature_id"] for each in matches if each.why.get("signature_id")}
    if not wanted:
        return {}
    known = PatternSignature.objects.filter(pk__in=wanted, incident__isnull=False)
    incidents = dict(known.values_list("id", "incident_id"))
    stored = PatternMatch.objects.filter(incident__in=incidents.values(), corrects=None)
    whys = dict(stored.values_list("incident_id", "why"))
    return {name: whys[each] for name, each in incidents.items() if each in whys}


def _evidence_in(match: PatternMatch, why: dict[str, Any]) -> dict[str, Any]:
    """The evidence itself: of a new kind it lies with the nearest that was known, if any was."""
    if not match.is_new or not why.get("nearest"):
        return why
    nearest: dict[str, Any] = why["nearest"]
    other = {"pattern_id": nearest["pattern_id"], "similarity": match.confidence}
    return {**nearest, "nearest_other": other}


def _other(found: Mapping[str, Any]) -> dict[str, Any]:
    return found.get("nearest_other") or {}


def _reasons(match: PatternMatch, found: Mapping[str, Any], names: Mapping[str, str]) -> Reasons:
    other = _other(found)
    return Reasons(
        match,
        agreed=_line(found.get("words_agreed")),
        only_here=_line(found.get("words_only_here")),
        only_there=_line(found.get("words_only_there")),
        frames=_line(found.get("frames_agreed"), ", "),
        masked=tuple(found.get("placeholders", {}).items()),
        origin=found.get("scores", {}).get("origin", 1.0),
        is_decided_before=bool(found.get("same_signature")),
        nearest=Nearest(
            other["pattern_id"],
            redaction.text(names.get(other["pattern_id"], other["pattern_id"])),
            other["similarity"],
        )
        if other
        else None,
    )


def _line(words: Iterable[str] | None, between: str = " ") -> str:
    """Words as one text, in which a secret shows that no word by itself would show."""
    return redaction.text(between.join(words or ()))


def _nearest(match: PatternMatch, found: dict[str, Any]) -> str:
    other = found.get("nearest_other")
    if match.is_new and found.get("pattern_id"):
        return f"{found['pattern_id']} ({100 * match.confidence:.0f} %)"
    return f"{other['pattern_id']} ({100 * other['similarity']:.0f} %)" if other else ""

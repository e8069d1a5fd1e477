"""Why a failure was recognised as what it was, for a person to read and to be stored with the match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .choice import Choice
from .likeness import Likeness, likeness
from .signature import VALUE, Signature
from .words import words_of

__all__ = ["evidence", "evidence_of"]

MOST_WORDS = 40


def evidence(a: Signature, b: Signature) -> dict[str, Any]:
    """Why two failures match; word lists are cut to MOST_WORDS."""
    return _told(a, b, likeness(a, b))


def evidence_of(new: Signature, choice: Choice) -> dict[str, Any]:
    """Why a failure joined the nearest pattern, and which other came next; `nearest` None where none was at hand."""
    if choice.nearest is None or choice.likeness is None:
        return {"nearest": None, "placeholders": _placeholders(new)}
    told = _told(new, choice.nearest.signature, choice.likeness)
    if choice.next is not None:
        told["nearest_other"] = {
            "pattern_id": choice.next.id,
            "similarity": round(choice.next_confidence, 4),
        }
    return told


def _told(new: Signature, known: Signature, like: Likeness) -> dict[str, Any]:
    told: dict[str, Any] = {
        "similarity": round(like.confidence, 4),
        "same_signature": new.hash == known.hash,
        "same_error_type": new.error_type == known.error_type,
        "same_tool": new.tool == known.tool,
        "words_agreed": _some(like.agreed),
        "words_only_here": _some(_words(each.here for each in like.differences)),
        "words_only_there": _some(_words(each.there for each in like.differences)),
        "differences": [
            {"kind": each.kind, "here": _some(each.here), "there": _some(each.there)}
            for each in like.differences[:MOST_WORDS]
        ],
        "placeholders": _placeholders(new),
        "scores": {"origin": like.origin},
        "signature_version": new.version,
    }
    if like.frames is not None:
        told["scores"]["frames"] = round(like.frames, 4)
        told["frames_agreed"] = [
            a for a, b in zip(new.frames, known.frames, strict=False) if a == b
        ]
    return told


def _placeholders(signature: Signature) -> dict[str, int]:
    """How many values of each kind were masked."""
    values = (word for word in words_of(signature.template) if word.startswith("<"))
    return dict(sorted(Counter(values).items()))


def _words(stretches: Iterable[tuple[str, ...]]) -> list[str]:
    return [word.lower() for stretch in stretches for word in stretch if word != VALUE]


def _some(words: Iterable[str]) -> list[str]:
    return list(words)[:MOST_WORDS]

"""Whether two failures are the same kind, how sure we are, and why."""

import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from rapidfuzz.distance import Indel

from catalog.signature import Signature, signature, signature_of

__all__ = ["Band", "Signature", "band_for", "evidence", "signature", "signature_of", "similarity"]

# Bands, from the design's table of numbers.
STRONG_ABOVE = 0.85
WEAK_FROM = 0.60

# How much of the score is left when only the message agrees. The same message from another tool stays
# weak (a person looks at it); from another error type it is another failure. Measured on 949 labelled
# incidents: with 0.70 for the type, chained exceptions were merged wrongly.
OTHER_TOOL = 0.80
OTHER_ERROR_TYPE = 0.55

# The same words around other values: strong, but never as sure as an equal signature.
OTHER_VALUES = 0.90

# A word is worth more than a value, because one word turns "opened" into "closed": in a message of
# fewer than about 40 words a single other word already falls below weak. Both exponents were chosen
# on the labelled incidents so that none of them were merged wrongly (pairwise precision 1.000).
WORD_SHARPNESS = 12
VALUE_SHARPNESS = 5

# Below this many words a message says too little to be compared in any way but exactly.
MIN_WORDS = 2

EVIDENCE_WORDS = 40


class Band(StrEnum):
    """How a match may be used: strong by itself, weak with a person, novel not at all."""

    STRONG = "strong"
    WEAK = "weak"
    NOVEL = "novel"


def band_for(
    confidence: float,
    strong: float = STRONG_ABOVE,
    weak: float = WEAK_FROM,
    *,
    is_new: bool = False,
) -> Band:
    """The band of a confidence (0..1): above `strong`, from `weak` to `strong` inclusive, or below.

    A new pattern matched nothing but itself, so it is novel whatever the confidence says.
    Raises ValueError when the confidence or the thresholds are not numbers in order within 0..1.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence} is not within 0..1")
    if not 0 <= weak <= strong <= 1:
        raise ValueError(f"thresholds weak {weak} and strong {strong} are not in order within 0..1")
    if is_new or confidence < weak:
        return Band.NOVEL
    return Band.STRONG if confidence > strong else Band.WEAK


def similarity(a: Signature, b: Signature) -> float:
    """How surely two failures are the same kind, 0..1, symmetric; 1.0 only for equal signatures.

    Words and values (placeholders) are compared in order by Indel similarity and weighed steeply:
    a wrong merge lets a policy block the innocent, a missed one only opens a second pattern. Another
    tool multiplies the score by OTHER_TOOL, another error type by OTHER_ERROR_TYPE.
    """
    if a.hash == b.hash:
        return 1.0
    if min(len(_words(a)), len(_words(b))) < MIN_WORDS:
        return 0.0
    words, values = _agreement(a, b)
    message = (
        1.0
        if a.template == b.template
        else OTHER_VALUES * math.pow(words, WORD_SHARPNESS) * math.pow(values, VALUE_SHARPNESS)
    )
    return message * _origin(a, b)


def evidence(a: Signature, b: Signature) -> dict[str, Any]:
    """Why two failures match, for a person to read and to be stored; word lists are cut to 40."""
    here, there = Counter(_words(a)), Counter(_words(b))
    words, values = _agreement(a, b)
    return {
        "similarity": round(similarity(a, b), 4),
        "same_signature": a.hash == b.hash,
        "same_error_type": a.error_type == b.error_type,
        "same_tool": a.tool == b.tool,
        "words_agreed": _some(here & there),
        "words_only_here": _some(here - there),
        "words_only_there": _some(there - here),
        "placeholders": dict(sorted(Counter(filter(_is_placeholder, a.tokens)).items())),
        "scores": {"words": round(words, 4), "values": round(values, 4), "origin": _origin(a, b)},
        "signature_version": a.version,
    }


def _agreement(a: Signature, b: Signature) -> tuple[float, float]:
    """How far the words agree, and how far words and values agree in order; both 0..1."""
    words = Indel.normalized_similarity(_words(a), _words(b))
    values = Indel.normalized_similarity(_shape(a), _shape(b))
    return words, values


def _origin(a: Signature, b: Signature) -> float:
    tool = 1.0 if a.tool == b.tool else OTHER_TOOL
    error_type = 1.0 if a.error_type == b.error_type else OTHER_ERROR_TYPE
    return tool * error_type


def _words(signature: Signature) -> list[str]:
    return [token for token in signature.tokens if not _is_placeholder(token)]


def _shape(signature: Signature) -> list[str]:
    """Words in place, every value the same: a number here may well be a hex number there."""
    return ["<>" if _is_placeholder(token) else token for token in signature.tokens]


def _is_placeholder(token: str) -> bool:
    return token.startswith("<")


def _some(words: Counter[str]) -> Sequence[str]:
    return list(words.elements())[:EVIDENCE_WORDS]

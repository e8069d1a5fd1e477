"""How a match may be used, by how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["STRONG_ABOVE", "WEAK_FROM", "Band", "Thresholds", "band_for"]

# Bands, from the design's table of numbers.
STRONG_ABOVE = 0.85
WEAK_FROM = 0.60


class Band(StrEnum):
    """How a match may be used: strong by itself, weak with a person, novel not at all."""

    STRONG = "strong"
    WEAK = "weak"
    NOVEL = "novel"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a match with a pattern is weak, and above what it is strong; both 0 to 1, in order."""

    strong_above: float = STRONG_ABOVE
    weak_from: float = WEAK_FROM


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

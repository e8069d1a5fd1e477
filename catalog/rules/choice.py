"""Which of the patterns at hand a new failure belongs to, and what of it teaches the pattern something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .bands import Band, Thresholds, band_for
from .likeness import Likeness, compared, likeness
from .signature import VALUE, Signature
from .words import spans_of

__all__ = ["Candidate", "Choice", "choose", "refined"]

# Differences of these kinds show that a word of the template is a value.
REFINING = ("name", "slot")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pattern that a new failure may belong to."""

    id: str
    signature: Signature
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class Choice:
    """The pattern that is most like, whether it is like enough, and which came next.

    `nearest` is None where nothing was at hand; with a band of novel the failure is none of these.
    """

    nearest: Candidate | None = None
    likeness: Likeness | None = None
    band: Band = Band.NOVEL
    next: Candidate | None = None
    next_confidence: float = 0.0

    @property
    def confidence(self) -> float:
        """How surely the failure is of the nearest pattern, 0 to 1."""
        return self.likeness.confidence if self.likeness else 0.0


def choose(new: Signature, candidates: Iterable[Candidate]) -> Choice:
    """The most similar pattern by its own thresholds; of two equally similar the one that comes first."""
    scored = [(likeness(new, each.signature), each) for each in candidates]
    if not scored:
        return Choice()
    ranked = sorted(
        scored, key=_by_band_and_confidence, reverse=True
    )  # stable: the older one stays first
    like, nearest = ranked[0]
    after = ranked[1] if len(ranked) > 1 else None
    return Choice(
        nearest,
        like,
        _band(like, nearest),
        after and after[1],
        after[0].confidence if after else 0.0,
    )


def _band(like: Likeness, candidate: Candidate) -> Band:
    limits = candidate.thresholds
    return band_for(like.confidence, limits.strong_above, limits.weak_from)


def _by_band_and_confidence(scored: tuple[Likeness, Candidate]) -> tuple[bool, float]:
    like, candidate = scored
    return like.confidence >= candidate.thresholds.weak_from, like.confidence


def refined(template: str, shape: tuple[str, ...], new: Signature) -> str:
    """The template of a pattern after a failure joined it: where their names differ, a value stands.

    Order does not matter: whichever of two names came first, the template ends up the same.
    """
    _, differences = compared(new.shape, shape)
    places = [
        each.at + offset
        for each in differences
        if each.kind in REFINING
        for offset, word in enumerate(each.there)
        if word != VALUE
    ]
    spans = spans_of(template)
    for place in sorted(places, reverse=True):
        start, end = spans[place]
        template = f"{template[:start]}<val>{template[end:]}"
    return template

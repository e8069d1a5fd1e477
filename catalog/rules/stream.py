"""A catalogue in memory: what each failure is recognised as when they come one after another.

The database's matcher puts the patterns at hand into one and lets it decide; by itself it scores and measures.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain, count

from .bands import Band, band_for
from .choice import Candidate, Choice, choose, refined
from .keys import keys_of
from .signature import Signature, signature_of

__all__ = ["Catalogue", "Placed"]


@dataclass(frozen=True, slots=True)
class Placed:
    """What one failure was recognised as: the id of its pattern, how surely (0 to 1), and in which band."""

    pattern: str
    confidence: float
    band: Band
    is_new: bool
    keys: tuple[int, ...] = ()
    choice: Choice | None = None  # None where the signature was known


class Catalogue:
    """Patterns at hand; each failure is placed once, by what came before it.

    Ids sort by age. Those of new patterns come from `new_id`.
    """

    def __init__(self, new_id: Callable[[], str] | None = None) -> None:
        numbers = count()
        self._new_id = new_id or (lambda: f"{next(numbers):012d}")
        self._patterns: dict[str, Candidate] = {}
        self._signatures: dict[str, tuple[str, float]] = {}
        self._index: defaultdict[int, list[str]] = defaultdict(list)
        # The templates that were refined, by pattern.
        self.refined: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._patterns)

    def know(self, candidate: Candidate, key: int) -> None:
        """Have a pattern at hand under a key; it may be told again under others."""
        self._patterns.setdefault(candidate.id, candidate)
        self._keep(key, candidate.id)

    def place(self, new: Signature) -> Placed:
        """Recognise a failure, or open a pattern for it."""
        known = self._signatures.get(new.hash)
        if known:
            pattern, confidence = known
            limits = self._patterns[pattern].thresholds
            band = band_for(confidence, limits.strong_above, limits.weak_from)
            return Placed(pattern, confidence, band, is_new=False)
        keys = keys_of(new)
        found = sorted(
            set(chain.from_iterable(self._index[key][-most:] for key, most in keys.items()))
        )
        choice = choose(new, (self._patterns[each] for each in found))
        is_new = choice.nearest is None or choice.band == Band.NOVEL
        if choice.nearest is None or is_new:
            pattern = self._new_id()
            self._patterns[pattern] = Candidate(pattern, new)
        else:
            pattern = choice.nearest.id
            self._learn(choice.nearest, new)
        self._signatures[new.hash] = pattern, 1.0 if is_new else choice.confidence
        for key in keys:
            self._keep(key, pattern)
        return Placed(pattern, choice.confidence, choice.band, is_new, tuple(keys), choice)

    def _keep(self, key: int, pattern: str) -> None:
        if pattern not in self._index[key]:
            insort(self._index[key], pattern)

    def _learn(self, pattern: Candidate, new: Signature) -> None:
        """Let a failure that joined refine the template."""
        known = pattern.signature
        template = refined(known.template, known.shape, new)
        if template != known.template:
            made = signature_of(known.error_type, known.tool, template, known.frames)
            self._patterns[pattern.id] = replace(pattern, signature=made)
            self.refined[pattern.id] = template

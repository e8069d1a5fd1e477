"""Whether conditions say the same: duplicates, contradictions and redundancies of policies.

Every yes here is certain, a no only means "not shown": sound, and incomplete on purpose. A condition
is read from the engine (`reading`) into a `tree`, taken apart into `alternatives` made of `terms`, and
these are compared (`following`) by rules about values, bounds, texts, types and presence; what
depends only on values that are known is put to the real `engine`.

"True of a call" is the answer YES; what a policy does where its condition cannot tell is its
failure mode, and not asked here.
"""

from __future__ import annotations

from itertools import product

from policies.meaning.alternatives import ALTERNATIVES_LIMIT, Meaning, meaning
from policies.meaning.following import is_contradiction, is_covered

__all__ = [
    "Meaning",
    "always_true",
    "meaning",
    "never_together",
    "never_true",
    "same",
    "subsumes",
]


def same(a: str | Meaning, b: str | Meaning) -> bool:
    """Whether both are shown to be true of exactly the same calls."""
    one, other = _read(a), _read(b)
    if one.yes is not None and one.yes == other.yes:
        return True
    return subsumes(one, other) and subsumes(other, one)


def subsumes(wider: str | Meaning, narrower: str | Meaning) -> bool:
    """Whether `wider` is shown to be true of every call that `narrower` is true of."""
    outer, inner = _read(wider).yes, _read(narrower).yes
    if outer is None or inner is None:
        return False
    return all(is_covered(known, outer) for known in inner)


def never_together(a: str | Meaning, b: str | Meaning) -> bool:
    """Whether no call is shown to be left that both are true of."""
    one, other = _read(a).yes, _read(b).yes
    if one is None or other is None or len(one) * len(other) > ALTERNATIVES_LIMIT:
        return False
    return all(is_contradiction(mine | theirs) for mine, theirs in product(one, other))


def never_true(condition: str | Meaning) -> bool:
    """Whether no call is shown to be left that it is true of."""
    alternatives = _read(condition).yes
    return alternatives is not None and all(map(is_contradiction, alternatives))


def always_true(condition: str | Meaning) -> bool:
    """Whether no call is shown to be left that it is false of (of some it may not be able to tell)."""
    alternatives = _read(condition).no
    return alternatives is not None and all(map(is_contradiction, alternatives))


def _read(given: str | Meaning) -> Meaning:
    return meaning(given) if isinstance(given, str) else given

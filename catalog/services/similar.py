"""Which other patterns are like one: found by the keys that failures are found by, and by their error type.

Never by a scan: of both the newest are looked at, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from governance import redaction

from ..models import Pattern
from ..rules import likeness
from ..rules.likeness import Difference
from .recognition import finding, signature_at

MOST_SIMILAR = 10
MOST_OF_TYPE = 200
# Of those that share no word: below it they only share an error type.
LEAST = 0.05


@dataclass(frozen=True, slots=True)
class Similar:
    """Another pattern, how like it is (0 to 1), the words that agree, and where they differ: here and there."""

    pattern: Pattern
    similarity: float
    words_agreed: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def agreed(self) -> str:
        """The words that agree as one text, without secrets, for people."""
        return redaction.text(" ".join(self.words_agreed))


def similar_to(pattern: Pattern, most: int = MOST_SIMILAR) -> list[Similar]:
    """The patterns most like one, most first: of the newest under its keys and of its error type, a few hundred at most.

    Also those that score next to nothing: that they agree in every word but one says why they are kept apart.
    """
    mine = signature_at(pattern)
    of_type = Pattern.objects.filter(error_type=pattern.error_type).order_by("-id")
    under_keys = [found.candidate.id for found in finding([mine]).answer()]
    others = (
        Pattern.objects.roots()
        .filter(Q(id__any=under_keys) | Q(id__in=of_type.values("id")[:MOST_OF_TYPE]))
        .exclude(id__in=filter(None, (pattern.id, pattern.root_id)))
    )
    compared = []
    for other in others:
        like = likeness(mine, signature_at(other))
        if not like.agreed and like.confidence < LEAST:
            continue
        compared.append(Similar(other, like.confidence, like.agreed, like.differences))
    return sorted(compared, key=_most_like_first)[:most]


def _most_like_first(each: Similar) -> tuple[float, int, str]:
    return -each.similarity, -len(each.words_agreed), each.pattern.id

"""How good a grouping is, where the true groups are known.

Grouping accuracy is what log parsers are compared by (Zhu et al., "Tools and Benchmarks for Automated Log Parsing",
2019): the share of records whose group holds exactly the records of their true group. Pairwise figures count pairs of
records: of those put together how many belong together (precision), and of those that belong together how many were
(recall).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Grouping", "grouping"]


@dataclass(frozen=True, slots=True)
class Grouping:
    """Shares, 0 to 1; of no pairs at all a share is 1."""

    ga: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def grouping(predicted: Sequence[Hashable], true: Sequence[Hashable]) -> Grouping:
    """Compare a grouping with the true one. Raises ValueError when they differ in length."""
    both = Counter(zip(predicted, true, strict=True))
    ours, theirs = Counter(predicted), Counter(true)
    exact = sum(n for (group, truth), n in both.items() if ours[group] == theirs[truth] == n)
    right = _pairs(both)
    return Grouping(
        ga=exact / len(true) if true else 1.0,
        precision=right / pairs if (pairs := _pairs(ours)) else 1.0,
        recall=right / pairs if (pairs := _pairs(theirs)) else 1.0,
    )


def _pairs(groups: Counter[Any]) -> int:
    return sum(n * (n - 1) // 2 for n in groups.values())

"""A condition on a call's arguments that is suspected to be the cause of a failure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from policies.synthesis.amounts import Beyond, Compared, Sums
from policies.synthesis.calls import Call
from policies.synthesis.features import HasSort, LacksKey, LeavesAsIs, Predicate, Shaped, Together

TOLD_BY_NO_WORD = (LacksKey, LeavesAsIs, Shaped, HasSort, Beyond, Compared, Sums)
"""Features that are true of calls which hold no particular text."""


@dataclass(frozen=True)
class Suspicion:
    """A condition on the arguments, and why. ``in_run``: only in the run of the cause."""

    terms: tuple[Predicate, ...]
    why: str
    in_run: bool = False

    def is_true_of(self, call: Call) -> bool:
        return all(needle in call.text for needle in self.needles) and all(
            term.is_true_of(call.arguments) for term in self.terms
        )

    @cached_property
    def needles(self) -> tuple[str, ...]:
        """Texts without which no call can match: looked for first, because that is fast."""
        return tuple(chain.from_iterable(_needles(term) for term in self.terms))

    @property
    def sentence(self) -> str:
        return " and ".join(term.sentence for term in self.terms)


def _needles(term: Predicate) -> Iterator[str]:
    if len(term.values) > 1 or isinstance(term.feature, TOLD_BY_NO_WORD):
        return
    for value in term.values[0].values() if isinstance(term.feature, Together) else term.values:
        is_plain = isinstance(value, str) and value.isascii() and value.isprintable()
        if is_plain and not set(value) & set('"\\'):
            yield value

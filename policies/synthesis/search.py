"""The search for a condition that says what failing calls share and good calls lack."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from operator import and_
from typing import Any

from governance import redaction
from policies.synthesis.amounts import Beyond, Measured, measured, relations
from policies.synthesis.calls import Call, identity
from policies.synthesis.chance import Chance
from policies.synthesis.features import (
    HasKey,
    Is,
    LacksKey,
    Predicate,
    features_of,
    is_simple,
    paths_of,
    tellable,
)
from policies.synthesis.literals import Path
from policies.synthesis.messages import Message
from policies.synthesis.reading import Feature, nodes_at, type_of

FAILURES_TO_GENERALISE = 2
"""Failing calls with different arguments that must share a condition wider than one call."""
GOOD_CALLS_TO_GENERALISE = 20
"""Good calls that must have had the chance to match it (same paths present) and did not."""
RUNS_TO_GENERALISE = 2
NOVELTY_LIMIT = 0.05
"""Share of good calls with a value seen in no other good call, above which an unseen value is normal.

It estimates the chance that the next good call brings a value never seen before (Good and Turing's
missing mass: I. J. Good 1953, Biometrika 40:237). Identifiers are nearly all new, so that no good
call has this one says nothing; then the failures must come from separate runs, because an agent's
retries inside one run are one observation.
"""
TERMS_LIMIT = 3
"""Predicates joined by &&."""
SET_LIMIT = 8
"""Values of an `in [...]`."""
CANDIDATES_LIMIT = 40
"""Predicates kept for joining: 40 make 10,660 conditions, a few milliseconds."""
MEASURED: dict[str, Measured] = {"number": "number", "string": "string", "list": "list"}
GLANCE = 200
"""Good calls looked at first: a predicate true of most of them separates nothing."""


@dataclass(frozen=True)
class Finding:
    """Predicates that together match no good call but several failing ones."""

    terms: tuple[Predicate, ...]
    failed: int
    """The failing calls under it, as bits."""

    @property
    def covers(self) -> int:
        return self.failed.bit_count()

    @property
    def is_listed(self) -> bool:
        """Whether it lists what failed, which is closer to remembering than to understanding."""
        return any(len(term.values) > 1 for term in self.terms)

    @property
    def source(self) -> str:
        return " && ".join(term.source for term in self.terms)

    @property
    def sentence(self) -> str:
        return " and ".join(term.sentence for term in self.terms)


@dataclass
class Sample:
    """Calls read column by column, each column once."""

    calls: Sequence[Call]
    _columns: dict[Path, list[list[Any]]] = field(default_factory=dict)
    _readings: dict[Feature, list[frozenset[Hashable] | None]] = field(default_factory=dict)

    def readings(self, feature: Feature) -> list[frozenset[Hashable] | None]:
        """For each call the identities the feature reads; None where its path is missing."""
        if feature not in self._readings:
            column = self._column(feature.path)
            self._readings[feature] = [
                frozenset(feature.read(nodes)) if nodes else None for nodes in column
            ]
        return self._readings[feature]

    def _column(self, path: Path) -> list[list[Any]]:
        if path not in self._columns:
            self._columns[path] = [nodes_at(call.arguments, path) for call in self.calls]
        return self._columns[path]

    def matching(self, term: Predicate) -> int:
        """The calls it is true of, as bits."""
        wanted = term.identities
        return _bits(
            read is not None and not wanted.isdisjoint(read) for read in self.readings(term.feature)
        )


@dataclass(frozen=True)
class Candidate:
    """A predicate true of the cause, with the calls it is true of as bits."""

    term: Predicate
    failed: int
    good: int


class Search:
    """All that is known about one kind of failure of a tool, and about the tool's good calls.

    `failures` holds the cause; `failed` counts failing calls of the tool of any kind. ``are_whole``: only whole values
    are looked at, not what a text begins with or the words in it.
    """

    def __init__(
        self,
        cause: Call,
        failures: Sequence[Call],
        successes: Sequence[Call],
        failed: int = 0,
        *,
        are_whole: bool = False,
    ) -> None:
        self._cause, self._are_whole = cause, are_whole
        self._failed_in_all = max(failed, len(failures))
        self._is_about_quantity = Message.of(cause.error).is_about_quantity
        self._failures = failures
        self._successes = successes
        self._failed = Sample(failures)
        self._good = Sample(successes)
        # Calls with equal arguments match alike, so the first of each stands for all of them.
        seen: set[Hashable] = set()
        self._distinct = _bits(_is_first(identity(call.arguments), seen) for call in failures)

    def findings(self) -> Iterator[Finding]:
        """Supported conditions, best first: what is shared before a list of what failed, then
        by how many failures it covers, then the simpler. Deterministic."""
        if len(self._successes) < GOOD_CALLS_TO_GENERALISE or not self._is_shared(self._distinct):
            return iter(())
        candidates, unshared = self._candidates()
        found = [
            one
            for size in range(1, TERMS_LIMIT + 1)
            for one in self._joined(candidates, size, unshared if size == 1 else {})
        ]
        found.sort(key=_worth)
        return filter(self._is_supported, found)

    def _joined(
        self, candidates: Sequence[Candidate], size: int, unshared: Mapping[int, int]
    ) -> Iterator[Finding]:
        """Conditions of so many predicates that no good call meets, and that chance alone would hardly make.

        A list of what failed is made to fit: how well it does says nothing. ``unshared`` counts conditions that no
        other failure meets, by how many good calls do.
        """
        chance = Chance(self._failed_in_all - 1, len(self._successes))
        chance.add(unshared)
        found = []
        for parts in combinations(candidates, size):
            failed = _common(part.failed for part in parts)
            if not self._is_shared(failed):
                continue
            others = (failed & self._distinct).bit_count() - 1
            one = Finding(tuple(part.term for part in parts), failed)
            if not one.is_listed:
                chance.see(others, _common(part.good for part in parts).bit_count())
            if _is_tight([part.good for part in parts]):
                found.append((one, others))
        unlikely = {others: chance.is_unlikely(others) for _, others in found}
        yield from (one for one, others in found if one.is_listed or unlikely[others])

    def _candidates(self) -> tuple[list[Candidate], Counter[int]]:
        """Predicates that failures share, those first that good calls share least; and how many no other failure shares."""
        glance = Sample(self._successes[:GLANCE])
        kept, unshared = [], Counter[int]()
        for term in dict.fromkeys(self._predicates()):
            failed = self._failed.matching(term)
            seen = glance.matching(term).bit_count()
            if not self._is_shared(failed):
                unshared[seen] += 1
            elif seen * 2 <= len(glance.calls):
                kept.append(Candidate(term, failed, self._good.matching(term)))
        kept.sort(
            key=lambda one: (one.good.bit_count(), -one.failed.bit_count(), len(one.term.source))
        )
        return kept[:CANDIDATES_LIMIT], unshared

    def _predicates(self) -> Iterator[Predicate]:
        arguments = self._cause.arguments
        for path in paths_of(arguments):
            nodes = nodes_at(arguments, path)
            for feature in features_of(path, nodes, are_whole=self._are_whole):
                yield from (
                    Predicate(feature, (value,)) for value in tellable(feature, nodes).values()
                )
            if len(nodes) == 1:
                yield from self._sets(path, nodes[0])
                yield from self._bounds(path, nodes[0])
        for relation in relations(arguments, [call.arguments for call in self._successes[:GLANCE]]):
            yield from (Predicate(relation, (sign,)) for sign in relation.read([arguments]))
        yield from (Predicate(HasKey(), (name,)) for name in sorted(arguments))
        known = {name for call in self._successes for name in call.arguments}
        for name in sorted(known - arguments.keys()):
            yield Predicate(LacksKey(frozenset({name})), (name,))

    def _sets(self, path: Path, node: Any) -> Iterator[Predicate]:
        """`in [...]` over what failing calls had here, where there are few such values."""
        found = [inner for call in self._failures for inner in nodes_at(call.arguments, path)]
        values = {
            identity(inner): inner
            for inner in found
            if is_simple(inner) and redaction.masked(inner) == inner
        }
        if is_simple(node) and 1 < len(values) <= SET_LIMIT:
            yield Predicate(Is(path), tuple(sorted(values.values(), key=repr)))

    def _bounds(self, path: Path, node: Any) -> Iterator[Predicate]:
        """At or past the mildest amount that failed, where different amounts failed."""
        kind = MEASURED.get(type_of(node))
        # How long something is matters where the error is about an amount; else a long text is long by chance.
        if kind is None or (kind != "number" and not self._is_about_quantity):
            return
        found = [inner for call in self._failures for inner in nodes_at(call.arguments, path)]
        amounts = set(measured(found, kind))
        if len(amounts) >= FAILURES_TO_GENERALISE:
            for bound, is_upwards in ((min(amounts), True), (max(amounts), False)):
                yield Predicate(Beyond(path, bound, is_upwards, kind), (bound,))

    def _is_shared(self, failed: int) -> bool:
        return (failed & self._distinct).bit_count() >= FAILURES_TO_GENERALISE

    def _is_supported(self, finding: Finding) -> bool:
        """Whether what is known backs a condition wider than one call."""
        columns = [self._good.readings(term.feature) for term in finding.terms]
        comparable = [row for row in zip(*columns, strict=True) if None not in row]
        if len(comparable) < GOOD_CALLS_TO_GENERALISE:
            return False
        unique = sum(1 for count in Counter(comparable).values() if count == 1)
        if unique / len(comparable) <= NOVELTY_LIMIT:
            return True
        under = [call for index, call in enumerate(self._failures) if finding.failed >> index & 1]
        runs = {call.run_id for call in under}
        return len(runs) >= RUNS_TO_GENERALISE and not finding.is_listed


def _worth(one: Finding) -> tuple[bool, int, int, int, str]:
    """The order of findings; the text at the end makes it the same every time."""
    return one.is_listed, -one.covers, len(one.terms), len(one.source), one.source


def _is_first(one: Hashable, seen: set[Hashable]) -> bool:
    if one in seen:
        return False
    seen.add(one)
    return True


def _bits(flags: Iterable[bool]) -> int:
    """Flags as the bits of an integer, the first one lowest."""
    return int("".join("1" if flag else "0" for flag in flags)[::-1] or "0", 2)


def _common(masks: Iterable[int]) -> int:
    return reduce(and_, masks)


def _is_tight(masks: list[int]) -> bool:
    """No good call is under all of them, and none can be left out."""
    if _common(masks):
        return False
    return len(masks) == 1 or all(map(_common, combinations(masks, len(masks) - 1)))

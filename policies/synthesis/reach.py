"""How far a name reaches that an error blames: what failed in one run may be fine in the next, or in none.

A file, or a table of one database of many, is missing here and there for the next run; a table of the only database is
missing for all. One failure cannot tell, and a rule that stops the next run is never told that it was wrong. What became
of other names that such errors blamed can.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum

from policies.synthesis.calls import Call
from policies.synthesis.features import MAKES, LeavesAsIs, Predicate
from policies.synthesis.messages import Message, mentions
from policies.synthesis.named import named_in
from policies.synthesis.suspicions import Suspicion

NAMES_COMPARED = 50
"""Names that such errors blamed lately, whose fate is asked."""
BROKEN = 0.05
"""Share of names that may turn out to be fine elsewhere."""

TOLD_OF_ONE_PLACE = 100
"""Errors of a sort that must all name one place (a database, a folder) before it is believed to be the only one."""


class Reach(Enum):
    """How far such names reach, by what became of others."""

    CALL = "call"
    """It, or too many others, were mended in the run that had failed: what was missing was made."""
    RUN = "run"
    """Too many were fine in another run."""
    OPEN = "open"
    """Too few were seen in several runs to tell."""
    EVERYWHERE = "everywhere"
    """What fails in one run fails in all."""


class _Fate(Enum):
    """What became of one name."""

    HELD = "held"
    """Several runs failed with it."""
    BROKE = "broke"
    """It was good in a run that it had not failed in."""
    MENDED = "mended"
    """A run that had failed with it named it and went well, be it to make what was missing."""
    UNKNOWN = "unknown"


def reach_of(cause: Call, failures: Sequence[Call], good: Sequence[Call]) -> Reach:
    """How far what its error names reaches, by what became of it, and of the names that other errors of its sort blamed.

    ``failures`` are latest first, the cause among them. More than ``BROKEN`` of the others that were mended, or
    broke as well: not even this run, or this run alone. Everywhere where the next one is expected to be fine elsewhere
    more rarely than that, which takes eighteen that held (the rule of succession: Laplace 1814).
    """
    runs: dict[tuple[Predicate, ...], set[tuple[str, str]]] = defaultdict(set)
    for call in failures:
        terms = named_in(call)
        if terms and (terms in runs or len(runs) < NAMES_COMPARED):
            runs[terms].add((call.run, call.agent))
    texts = "\n".join(call.text for call in good)
    became = {terms: _fate(terms, runs[terms], good, texts) for terms in runs}
    if became.pop(named_in(cause), None) is _Fate.MENDED:
        return Reach.CALL
    of_others = Counter(became.values())
    mended, broke = of_others[_Fate.MENDED], of_others[_Fate.BROKE]
    known = of_others[_Fate.HELD] + broke + mended
    if mended > len(became) * BROKEN:
        return Reach.CALL
    if broke + mended > known * BROKEN or _may_be_elsewhere(cause, failures):
        return Reach.RUN
    return Reach.EVERYWHERE if broke + mended + 1 <= (known + 2) * BROKEN else Reach.OPEN


def _fate(
    terms: tuple[Predicate, ...], runs: set[tuple[str, str]], good: Sequence[Call], texts: str
) -> _Fate:
    well = list(_naming(terms, good, texts))
    if any((call.run, call.agent) in runs for call in well):
        return _Fate.MENDED
    if any(map(Suspicion(terms, "").is_true_of, well)):
        return _Fate.BROKE
    return _Fate.HELD if len(runs) > 1 else _Fate.UNKNOWN


def _may_be_elsewhere(cause: Call, failures: Sequence[Call]) -> bool:
    """Whether the error says where it is missing, the call does not, and there may be other such places."""
    message, text = Message.of(cause.error), cause.text.lower()
    said = [value for term in named_in(cause) for value in term.values if isinstance(value, str)]
    places = (place for value in said if value for place in message.places_of(value))
    for place in places:
        if not mentions(text, place.name):
            there = [place.is_of(call.error) for call in failures]
            if there.count(True) < TOLD_OF_ONE_PLACE or False in there:
                return True
    return False


def _naming(terms: Sequence[Predicate], good: Sequence[Call], texts: str) -> Iterator[Call]:
    """Good calls that hold these names, be it to make what was missing; not those that only looked for it."""
    named = Suspicion(tuple(map(_or_makes_it, terms)), "")
    # Most names stand in no good call at all: all of them together are looked through faster than each.
    if all(needle in texts for needle in named.needles):
        yield from filter(named.is_true_of, good)


def _or_makes_it(term: Predicate) -> Predicate:
    if not isinstance(term.feature, LeavesAsIs):
        return term
    return replace(term, feature=replace(term.feature, but=term.feature.but.union(MAKES)))

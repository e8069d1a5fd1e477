"""How far a name reaches that an error blames: what failed in one run may be fine in the next, or in none.

A file, or a table of one database of many, is missing here and there for the next run; a table of the only database is
missing for all. One failure cannot tell, and a rule that stops the next run is never told that it was wrong. What became
of other names that such errors blamed can.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum

from policies.synthesis.calls import Call
from policies.synthesis.features import MAKES, LeavesAsIs, Predicate
from policies.synthesis.named import named_in
from policies.synthesis.suspicions import Suspicion

NAMES_COMPARED = 50
"""Other names that such errors blamed lately, whose fate is asked."""
BROKEN = 0.05
"""Share of names that may turn out to be fine elsewhere."""


class Reach(Enum):
    """How far such names reach, by what became of others."""

    CALL = "call"
    """Too many were mended in the run that had failed: what was missing was made."""
    RUN = "run"
    """Too many were fine in another run."""
    OPEN = "open"
    """Too few were seen in several runs to tell."""
    EVERYWHERE = "everywhere"
    """What fails in one run fails in all."""


def reach_of(named: Sequence[Predicate], failures: Sequence[Call], good: Sequence[Call]) -> Reach:
    """How far ``named`` reaches, judged by the names that other errors of its sort blamed; ``failures`` are latest first.

    A name held where several runs failed with it, broke where it was good in a run that it had not failed in, and was
    mended where a run that it had failed in named it and went well, be it to make what was missing. More than ``BROKEN``
    of them: this run alone, or not even that. Everywhere where the next one is expected to break more rarely than that,
    which takes eighteen that held (the rule of succession: Laplace 1814).
    """
    runs: dict[tuple[Predicate, ...], set[tuple[str, str]]] = defaultdict(set)
    for call in failures:
        terms = named_in(call)
        if terms and terms != named and (terms in runs or len(runs) < NAMES_COMPARED):
            runs[terms].add((call.run, call.agent))
    texts = "\n".join(call.text for call in good)
    held = broke = mended = 0
    for terms, failed_in in runs.items():
        well = list(_naming(terms, good, texts))
        if any((call.run, call.agent) in failed_in for call in well):
            mended += 1
        elif any(Suspicion(terms, "").is_true_of(call) for call in well):
            broke += 1
        else:
            held += len(failed_in) > 1
    if mended > len(runs) * BROKEN:
        return Reach.CALL
    known = held + broke + mended
    if broke + mended > known * BROKEN:
        return Reach.RUN
    return Reach.EVERYWHERE if broke + mended + 1 <= (known + 2) * BROKEN else Reach.OPEN


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

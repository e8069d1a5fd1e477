"""How far a name reaches that an error blames: what failed in one run may be fine in the next, or in none.

A file, or a table of one database of many, is missing here and there for the next run; a table of the only database is
missing for all. One failure cannot tell, and a rule that stops the next run is never told that it was wrong. What became
of other names that such errors blamed can.
"""

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum

from policies.synthesis.calls import Call
from policies.synthesis.features import Predicate
from policies.synthesis.named import named_in
from policies.synthesis.suspicions import Suspicion

NAMES_COMPARED = 50
"""Other names that such errors blamed lately, whose fate is asked."""
BROKEN = 0.05
"""Share of names that may turn out to be fine elsewhere."""


class Reach(Enum):
    """How far such names reach, by what became of others."""

    RUN = "run"
    """Too many were fine in another run."""
    OPEN = "open"
    """Too few were seen in several runs to tell."""
    EVERYWHERE = "everywhere"
    """What fails in one run fails in all."""


def reach_of(named: Sequence[Predicate], failures: Sequence[Call], good: Sequence[Call]) -> Reach:
    """How far ``named`` reaches, judged by the names that other errors of its sort blamed; ``failures`` are latest first.

    A name held where several runs failed with it, and broke where it was good in a run that it had not failed in. More
    than ``BROKEN`` of them: this run alone. Everywhere where the next one is expected to break more rarely than that,
    which takes eighteen that held (the rule of succession: Laplace 1814).
    """
    runs: dict[tuple[Predicate, ...], set[tuple[str, str]]] = defaultdict(set)
    for call in failures:
        terms = named_in(call)
        if terms and terms != named and (terms in runs or len(runs) < NAMES_COMPARED):
            runs[terms].add((call.run, call.agent))
    texts = "\n".join(call.text for call in good)
    broken = {
        terms
        for terms, failed_in in runs.items()
        if _is_good_outside(failed_in, Suspicion(terms, ""), good, texts)
    }
    held = sum(1 for terms, failed_in in runs.items() if len(failed_in) > 1 and terms not in broken)
    known = len(broken) + held
    if len(broken) > known * BROKEN:
        return Reach.RUN
    expected = (len(broken) + 1) / (known + 2)
    return Reach.EVERYWHERE if expected <= BROKEN else Reach.OPEN


def _is_good_outside(
    runs: set[tuple[str, str]], named: Suspicion, good: Sequence[Call], texts: str
) -> bool:
    # Most names stand in no good call at all: all of them together are looked through faster than each.
    return all(needle in texts for needle in named.needles) and any(
        named.is_true_of(call) and (call.run, call.agent) not in runs for call in good
    )

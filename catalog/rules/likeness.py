"""How surely two failures are the same kind, and why: what agrees, what was a value, what differs.

After Fellegi and Sunter, "A Theory for Record Linkage" (1969): agreement raises the odds, each difference takes something
off them by what kind of difference it is. Two names that differ in a sentence that is otherwise the same cost little,
because names are values; a word that says what happened ("opened", "closed") costs nearly everything, because a wrong
merge lets a policy block the innocent while a missed one only opens a second pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from .lexicon import FUNCTION, NAMED, PREPOSITIONS, is_word
from .signature import VALUE, Signature

__all__ = ["LONG", "Difference", "Likeness", "compared", "likeness", "similarity", "skeleton"]

# How much of the score is left when only the message agrees. The same message from another tool stays weak (a person
# looks at it); from another error type it is another failure: chained exceptions repeat each other's message.
OTHER_TOOL = 0.80
OTHER_ERROR_TYPE = 0.55

# The odds, as logarithms, that two messages of the same words are one kind of failure, before what differs is taken off.
PRIOR = 0.5
AGREEMENT = 0.6  # for each doubling of the weight of what agrees

# The weight of an agreeing word by how rare such a word is: "of" is everywhere, "ssh2" is not.
COMMON, KNOWN, RARE = 0.2, 1.0, 1.3

# What a difference takes off, by its kind.
COSTS = {
    "slot": 0.0,  # another name where the pattern has seen several
    "name": 0.9,  # another name where a sentence has one ("for root", "by alice")
    "value": 2.5,  # a value more or less: mostly another place in the code
    "subject": 3.0,  # another name elsewhere: mostly another thing that failed
    "word": 7.0,  # a word that says what happened
}

# Below this weight of agreeing words a message says too little to be compared in any way but exactly.
LEAST_WEIGHT = 2.0
# A stretch of more words is no name.
LONGEST_NAME = 2

# In a text of this many words one word is a detail: a report, a page of HTML, a body of JSON. The exponent was chosen so
# that the labelled incidents have no wrong merge; one word of sixty leaves 0.73, one of twenty-four 0.54.
LONG = 24
LONG_SHARPNESS = 12
LONG_AT_MOST = 0.9

# What is left of the score where only one of the two came with a stack trace, and how much less each frame weighs than
# the one that it called.
ONE_TRACE = 0.7
NEXT_FRAME = 0.7


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch where two failures differ, and what kind of difference it is (a key of COSTS)."""

    kind: str
    here: tuple[str, ...]
    there: tuple[str, ...]
    at: int  # where it begins in the shape of the pattern


@dataclass(frozen=True, slots=True)
class Likeness:
    """The confidence (0 to 1) that two failures are of one kind, with what it rests on."""

    confidence: float
    agreed: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    origin: float = 1.0  # what was left for where they come from
    frames: float | None = (
        None  # how far the stack traces agree, 0 to 1; None where neither has one
    )


def similarity(a: Signature, b: Signature) -> float:
    """How surely two failures are the same kind, 0..1, symmetric; 1.0 only for equal signatures."""
    return likeness(a, b).confidence


def likeness(new: Signature, known: Signature) -> Likeness:
    """Compare a new failure with a pattern's."""
    if new.hash == known.hash:
        return Likeness(1.0, tuple(word for word in new.shape if word != VALUE))
    origin, frames = _origin(new, known), _frames(new.frames, known.frames)
    agreed, differences = compared(new.shape, known.shape)
    says_enough = frames is not None or sum(map(_weight, agreed)) >= LEAST_WEIGHT
    # What a trace says went wrong is one short statement: what differs in it counts double.
    strictness = 1 if frames is None else 2
    message = _message(agreed, differences, strictness) if says_enough else 0.0
    if frames is None and min(len(new.shape), len(known.shape)) >= LONG:
        message = max(message, _long(new.shape, known.shape, agreed))
    confidence = message * origin
    if frames is not None:
        confidence *= frames
    return Likeness(confidence, agreed, differences, origin, frames)


def compared(
    here: Sequence[str], there: Sequence[str]
) -> tuple[tuple[str, ...], tuple[Difference, ...]]:
    """The words that agree, in order and in lower case, and the stretches that do not."""
    a, b = [word.lower() for word in here], [word.lower() for word in there]
    agreed: list[str] = []
    differences: list[Difference] = []
    i = j = 0
    for block in Indel.opcodes(a, b).as_matching_blocks():  # the last is empty, behind both ends
        if block.a > i or block.b > j:
            kind = _kind(a[i - 1] if i else "", here[i : block.a], there[j : block.b])
            differences.append(
                Difference(kind, tuple(here[i : block.a]), tuple(there[j : block.b]), j)
            )
        agreed += (word for word in a[block.a : block.a + block.size] if word != VALUE)
        i, j = block.a + block.size, block.b + block.size
    return tuple(agreed), tuple(differences)


def skeleton(shape: Sequence[str]) -> list[str]:
    """The words that say what happened, without all that may be a name: equal for shapes that differ in names only."""
    kept: list[str] = []
    before = ""
    for word in shape:
        folded = word.lower()
        if _says(word) and (folded in FUNCTION or not _opens_slot(before)):
            kept.append(folded)
        before = folded
    return kept


def _kind(before: str, here: Sequence[str], there: Sequence[str]) -> str:
    """What kind of difference a stretch is; `before` is the word before it."""
    names = [[word for word in side if word != VALUE] for side in (here, there)]
    if not any(names):
        return "value"
    known = [any(map(_says, side)) for side in names]
    longest = max(map(len, names))
    if longest > LONGEST_NAME or all(known):
        return "word"
    is_slot = _opens_slot(before) and bool(here) and bool(there)
    if any(known):
        # "for root" and "for alice", "user=guest" and a value: only one of them is a word of the language.
        return "name" if is_slot and longest == 1 else "word"
    if is_slot:
        return "name" if all(names) else "slot"
    return "subject"


def _opens_slot(before: str) -> bool:
    """Whether a name may follow this word: "for", "user", "host="."""
    return before in PREPOSITIONS or before in NAMED or before.endswith("=")


def _says(word: str) -> bool:
    """Whether a word says what happened, and names nothing: a known one, or a constant (CLEANUP).

    So does every word of another script: nobody here can tell its names from its verbs.
    """
    if word == VALUE:
        return False
    bare = word.rstrip("=")
    return is_word(bare.lower()) or (len(bare) > 1 and bare.isupper()) or not bare.isascii()


def _message(agreed: Sequence[str], differences: Sequence[Difference], strictness: int) -> float:
    """The confidence that the messages alone give."""
    if not differences:
        return 1.0
    cost = strictness * sum(COSTS[each.kind] for each in differences)
    return 1 / (1 + math.exp(cost - PRIOR - AGREEMENT * math.log2(1 + sum(map(_weight, agreed)))))


def _long(here: Sequence[str], there: Sequence[str], agreed: Sequence[str]) -> float:
    """The same for long texts, by the share of their words that agree."""
    words = sum(word != VALUE for word in (*here, *there))
    return LONG_AT_MOST * (2 * len(agreed) / words) ** LONG_SHARPNESS if words else 0.0


def _weight(word: str) -> float:
    if word in FUNCTION:
        return COMMON
    return KNOWN if is_word(word) else RARE


def _origin(a: Signature, b: Signature) -> float:
    """What is left of the score for where they come from."""
    tool = 1.0 if a.tool == b.tool else OTHER_TOOL
    if a.error_type == b.error_type:
        return tool
    if a.error_type == a.tool and b.error_type == b.tool:
        return tool  # who says the same for both has only told where it happened
    return OTHER_ERROR_TYPE * tool


def _frames(here: Sequence[str], there: Sequence[str]) -> float | None:
    """How far two stack traces agree, the failing frames weighing most; None where neither has one."""
    if not here and not there:
        return None
    if not here or not there:
        return ONE_TRACE
    weights = [NEXT_FRAME**depth for depth in range(max(len(here), len(there)))]
    same = (w for w, a, b in zip(weights, here, there, strict=False) if a == b)
    return sum(same) / sum(weights)

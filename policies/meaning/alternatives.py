"""A condition taken apart: the alternatives in which it is true, and those in which it is false.

Each alternative is a conjunction of terms. Only laws are used that keep what CEL answers, errors
included: a false side absorbs an error, so `&&` and `||` commute and De Morgan holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Final, TypeAlias

from policies.conditions import Answer
from policies.meaning.engine import ask
from policies.meaning.reading import tree
from policies.meaning.terms import Term, term_of
from policies.meaning.tree import TYPES, Call, Const, Name, Node, every

ALTERNATIVES_LIMIT: Final = 64
"""Conjunctions of a condition looked at; with more, nothing is shown about it."""
PRODUCT_LIMIT: Final = 4 * ALTERNATIVES_LIMIT
"""Conjunctions on the way there, before those that ask more than another one are left out."""

Conjunction: TypeAlias = frozenset[Term]


class _TooMany(Exception):
    """More alternatives than are looked at."""


@dataclass(frozen=True)
class Meaning:
    """A condition, with what else must hold for its policy to be asked."""

    node: Node

    @cached_property
    def yes(self) -> tuple[Conjunction, ...] | None:
        """It is true exactly where all terms of one of these are; None when there are too many."""
        return _alternatives(self.node, is_true=True)

    @cached_property
    def no(self) -> tuple[Conjunction, ...] | None:
        """The same of where it is false."""
        return _alternatives(self.node, is_true=False)


def meaning(condition: str, *, tool: str = "", agent: str = "") -> Meaning:
    """What a policy asks: its condition, its one tool and its one agent (empty: any).

    Raises ConditionError when the condition does not compile.
    """
    node = tree(condition)
    for name, only in (("agent.id", agent), ("action.tool", tool)):
        if only:
            node = Call("_&&_", (Call("_==_", (Name(name), Const("string", only))), node))
    return _meaning(node)


# One object for one condition, so that its alternatives are found once.
_meaning = lru_cache(maxsize=16_384)(Meaning)


def _alternatives(node: Node, *, is_true: bool) -> tuple[Conjunction, ...] | None:
    try:
        return tuple(sorted(_shortest(_expand(node, is_true=is_true)), key=_order))
    except _TooMany:
        return None


def _order(conjunction: Conjunction) -> list[str]:
    return sorted(term.spelling for term in conjunction)


def _expand(node: Node, *, is_true: bool) -> frozenset[Conjunction]:
    """Where a node answers this: a set of conjunctions, empty for nowhere."""
    match node:
        case Const("bool", value):
            return frozenset([frozenset[Term]()] if value is is_true else [])
        case Call("!_", (inner,)):
            return _expand(inner, is_true=not is_true)
        case Call("_!=_", args):
            return _expand(Call("_==_", args), is_true=not is_true)
        case Call("_&&_" | "_||_" as operator, (left, right)):
            sides = _expand(left, is_true=is_true), _expand(right, is_true=is_true)
            return (
                _joined(*sides)
                if (operator == "_&&_") is is_true
                else _limited(sides[0] | sides[1])
            )
        case Call("_?_:_", (asked, then, otherwise)):
            return _limited(
                _joined(_expand(asked, is_true=True), _expand(then, is_true=is_true))
                | _joined(_expand(asked, is_true=False), _expand(otherwise, is_true=is_true))
            )
    if not any(isinstance(part, Name) and part.name not in TYPES for part in every(node)):
        match ask(node, {}):
            case Answer.YES | Answer.NO as answer:
                return _expand(Const("bool", answer is Answer.YES), is_true=is_true)
    return frozenset([frozenset([term_of(node, is_true=is_true)])])


def _joined(left: frozenset[Conjunction], right: frozenset[Conjunction]) -> frozenset[Conjunction]:
    if len(left) * len(right) > PRODUCT_LIMIT:
        raise _TooMany
    return _limited(_shortest(mine | theirs for mine, theirs in product(left, right)))


def _limited(alternatives: frozenset[Conjunction]) -> frozenset[Conjunction]:
    if len(alternatives) > ALTERNATIVES_LIMIT:
        raise _TooMany
    return alternatives


def _shortest(alternatives: Iterable[Conjunction]) -> frozenset[Conjunction]:
    """Without those that ask all that another one asks, and more."""
    kept: list[Conjunction] = []
    for one in sorted(set(alternatives), key=len):
        if not any(shorter <= one for shorter in kept):
            kept.append(one)
    return frozenset(kept)

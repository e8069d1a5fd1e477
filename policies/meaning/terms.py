"""Terms: the questions that a condition is made of once `&&`, `||` and `!` are taken apart.

A term knows what it asks (`Question`) and which parts must have a value for it to have an answer at
all; `implies_by_rule` says what one term alone shows about another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from policies.meaning.tree import (
    Call,
    Const,
    Entries,
    Field,
    Has,
    Items,
    Macro,
    Name,
    Node,
    every,
    is_constant,
    text,
)

_FLIPPED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_TEXT_TESTS = frozenset({"startsWith", "endsWith", "contains", "matches"})
_LAZY = frozenset({"_&&_", "_||_", "_?_:_"})
_NUMBERS = frozenset({"int", "uint", "double"})


@dataclass(frozen=True, slots=True)
class Question:
    """What a term asks of what: `in` with the values, an order or a text test with its constant.

    `word` is empty for everything else; then only the term itself answers it.
    """

    word: str
    subject: Node
    values: frozenset[Node] = frozenset()
    constant: Any = None


@dataclass(frozen=True, eq=False)
class Term:
    """A question about a call, and the answer that is wanted: true, or false."""

    node: Node
    is_true: bool

    def __eq__(self, other: object) -> bool:
        # By its text, which has this very tree: sets of terms compare and hash without end.
        return isinstance(other, Term) and self.spelling == other.spelling

    def __hash__(self) -> int:
        return hash(self.spelling)

    @cached_property
    def spelling(self) -> str:
        return text(self.node) if self.is_true else f"!{text(self.node)}"

    @cached_property
    def opposite(self) -> Term:
        return Term(self.node, not self.is_true)

    @cached_property
    def question(self) -> Question:
        return _question(self.node)

    @cached_property
    def parts(self) -> frozenset[Node]:
        """Everything that is said in it."""
        return frozenset(every(self.node))

    @cached_property
    def evaluates(self) -> frozenset[Node]:
        """The parts without whose value it would have no answer."""
        return frozenset(_strictly(self.node))


def term_of(node: Node, *, is_true: bool) -> Term:
    """A term in its one spelling: constants on the right, lists of values sorted."""
    match node:
        case Call("_==_", (left, right)):
            if is_constant(left) or (not is_constant(right) and text(right) < text(left)):
                left, right = right, left
            node = Call("_==_", (left, right))
        case Call("_<_" | "_<=_" | "_>_" | "_>=_" as order, (left, right)) if is_constant(left):
            node = Call(_FLIPPED[order], (right, left))
        case Call("@in", (subject, Items(items) as listed)) if is_constant(listed):
            values = tuple(sorted(set(items), key=text))
            node = (
                Call("_==_", (subject, *values))
                if len(values) == 1
                else Call("@in", (subject, Items(values)))
            )
    return Term(node, is_true)


def plain(value: Node) -> Node:
    """A constant with its numbers as whole numbers where they are: CEL's 1, 1u and 1.0 are equal."""
    match value:
        case Const("uint", number):
            return Const("int", number)
        case Const("double", number) if number.is_integer():
            return Const("int", int(number))
        case Items(items):
            return Items(tuple(map(plain, items)))
        case Entries(entries):
            pairs = ((plain(key), plain(each)) for key, each in entries)
            return Entries(tuple(sorted(pairs, key=lambda pair: text(pair[0]))))
    return value


def _question(node: Node) -> Question:
    match node:
        case Call("_==_", (subject, value)) if is_constant(value):
            return Question("in", subject, frozenset([plain(value)]))
        case Call("@in", (subject, Items(items) as listed)) if is_constant(listed):
            return Question("in", subject, frozenset(map(plain, items)))
        case Call("_<_" | "_<=_" | "_>_" | "_>=_" as order, (subject, Const(_, bound))):
            return Question(order, subject, constant=bound)
        case Call(test, (subject, Const("string", part))) if test in _TEXT_TESTS:
            return Question(test, subject, constant=part)
        case Has():
            return Question("has", node)
    return Question("", node)


def _strictly(node: Node) -> Iterator[Node]:
    yield node
    match node:
        case Call("_?_:_", (asked, *_)):
            yield from _strictly(asked)
        case Call(function, args) if function not in _LAZY:
            for arg in args:
                yield from _strictly(arg)
        case Field(of) | Has(of) | Macro(_, of):
            yield from _strictly(of)
        case Items(items):
            for item in items:
                yield from _strictly(item)


def implies_by_rule(known: Term, wanted: Term) -> bool:
    """Whether one term is shown to hold wherever another one does."""
    asked, given = wanted.question, known.question
    if asked.word == "has":
        return wanted.is_true and Field(asked.subject.of, asked.subject.name) in known.evaluates  # type: ignore[union-attr]
    if asked.word == "in" and _shows_type(known, wanted):
        return True
    if not given.word or not asked.word or given.subject != asked.subject:
        return False
    if given.word == asked.word == "in":
        if known.is_true and wanted.is_true:
            return given.values <= asked.values
        return not (known.is_true or wanted.is_true) and asked.values <= given.values
    if asked.word in _FLIPPED:
        return _order_shows(known, wanted)
    if asked.word in _TEXT_TESTS:
        return _text_shows(known, wanted)
    return False


def _shows_type(known: Term, wanted: Term) -> bool:
    """What has a field is a map, and what was asked as a text is one: of this type, and of no other."""
    match wanted.question:
        case Question("in", Call("type", (subject,)), values):
            return any(
                (Name(name) in values) is wanted.is_true for name in _types_shown(known, subject)
            )
    return False


def _types_shown(known: Term, subject: Node) -> Iterator[str]:
    if known.question.word in _TEXT_TESTS and known.question.subject == subject:
        yield "string"
    if any(isinstance(part, Field | Has) and part.of == subject for part in known.evaluates):
        yield "map"


def _order_shows(known: Term, wanted: Term) -> bool:
    """`x > 5` shows `x >= 3`, and that `x < 4` is false."""
    given, asked = known.question, wanted.question
    if not known.is_true or given.word not in _FLIPPED:
        return False
    if not _are_comparable(given.constant, asked.constant):
        return False
    word = asked.word if wanted.is_true else _DENIED[asked.word]
    if given.word[1] != word[1]:
        return False
    if given.constant == asked.constant:
        return "=" in word or "=" not in given.word
    is_further = given.constant > asked.constant
    return is_further if word[1] == ">" else not is_further


_DENIED = {"_<_": "_>=_", "_<=_": "_>_", "_>_": "_<=_", "_>=_": "_<_"}


def _are_comparable(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)
    )


def _text_shows(known: Term, wanted: Term) -> bool:
    """`x.startsWith("ab")` shows that it starts with `a`, contains `b`, and does not start with `b`."""
    given, asked = known.question, wanted.question
    has, needs = given.constant, asked.constant
    if known.is_true and wanted.is_true:
        return _holds_all(given.word, has, asked.word, needs)
    if not known.is_true and not wanted.is_true:
        return _holds_all(asked.word, needs, given.word, has)
    if known.is_true and given.word == asked.word == "startsWith":
        return not (has.startswith(needs) or needs.startswith(has))
    if known.is_true and given.word == asked.word == "endsWith":
        return not (has.endswith(needs) or needs.endswith(has))
    return False


def _holds_all(given: str, has: str, asked: str, needs: str) -> bool:
    """Whether a text that passes one test passes the other."""
    match given, asked:
        case "startsWith", "startsWith":
            return has.startswith(needs)
        case "endsWith", "endsWith":
            return has.endswith(needs)
        case "startsWith" | "endsWith" | "contains", "contains":
            return needs in has
        case "matches", "matches":
            return has == needs
    return False

"""A compiled condition as a tree: what it reads, how deep it nests, what it must be about.

CEL's engine hands its checked expression out in the public format of `cel.expr.CheckedExpr`
(cel-spec, proto/cel/expr/checked.proto and syntax.proto), so nothing here parses CEL a second time:
this reads the few fields of that format it needs. An unknown kind of expression is an error, since
whatever is concluded from a tree must be true of the whole of it.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias


class UnreadableTree(RuntimeError):
    """The engine's serialized form is not what this module knows."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: ``kind`` is null, bool, int, uint, double, string or bytes."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, qualified as it is declared (`action.tool`), or one that a macro made."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A field of a map; with `is_test` whether it is there (`has()`)."""

    operand: Tree
    field: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function; with ``is_method`` the operand of `a.f(b)` comes first."""

    function: str
    arguments: tuple[Tree, ...]
    is_method: bool = False


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    elements: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map literal."""

    entries: tuple[tuple[Tree, Tree], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """What `exists` and `all` become: a fold of ``over``, one ``step`` for each element."""

    variable: str
    accumulator: str
    over: Tree
    start: Tree
    condition: Tree
    step: Tree
    result: Tree

    @property
    def inside(self) -> tuple[Tree, ...]:
        """What its variables stand in."""
        return self.start, self.condition, self.step, self.result


Tree = Constant | Name | Select | Call | ListOf | MapOf | Loop


def read(serialized: bytes) -> Tree:
    """The tree of a serialized expression. Raises UnreadableTree for a form that it does not know."""
    try:
        wrapped = _fields(serialized)
        checked = _fields(wrapped[2][0]) if 1 in wrapped else _fields(serialized)
        return _tree(checked[4][0])
    except (LookupError, TypeError, ValueError, struct.error) as error:
        raise UnreadableTree(f"the engine's serialized form cannot be read: {error!r}") from error


def names(tree: Tree) -> frozenset[str]:
    """The variables that a condition reads, without those of its own loops."""
    return frozenset(_free(tree, frozenset()))


def _free(tree: Tree, bound: frozenset[str]) -> Iterator[str]:
    match tree:
        case Name(name):
            if name not in bound:
                yield name
        case Loop():
            yield from _free(tree.over, bound)
            for part in tree.inside:
                yield from _free(part, bound | {tree.variable, tree.accumulator})
        case _:
            for part in _parts(tree):
                yield from _free(part, bound)


def loops_deep(tree: Tree) -> int:
    """How many loops are run inside each other at most."""
    if isinstance(tree, Loop):
        inner = max(map(loops_deep, tree.inside))
        return max(loops_deep(tree.over), 1 + inner)
    return max(map(loops_deep, _parts(tree)), default=0)


def cost_of(tree: Tree, assumed: int) -> int:
    """Steps that evaluating it may take: one for each part, a loop's over again for each element.

    A literal list has as many elements as it says, anything else is taken to have ``assumed``.
    """
    if isinstance(tree, Loop):
        rounds = len(tree.over.elements) if isinstance(tree.over, ListOf) else assumed
        return cost_of(tree.over, assumed) + rounds * sum(
            cost_of(part, assumed) for part in tree.inside
        )
    return 1 + sum(cost_of(part, assumed) for part in _parts(tree))


def patterns(tree: Tree) -> Iterator[str]:
    """The regular expressions that are written out in it."""
    if isinstance(tree, Call) and tree.function == "matches":
        last = tree.arguments[-1]
        if isinstance(last, Constant) and last.kind == "string":
            yield last.value
    for part in _parts(tree):
        yield from patterns(part)


Where: TypeAlias = tuple[str, ...]
"""A variable's name alone, or ``arguments`` and the names that lead on from there."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a text of the call shows where a part of a condition is true: it is this one, or an expression is found in it."""

    where: Where
    text: str | None = None
    pattern: str = ""

    @property
    def effort(self) -> tuple[bool, bool]:
        """What sorts those first that are soon looked at, and tell most calls apart."""
        return bool(self.pattern), self.where != ("run.id",)


Needed = tuple[Sign, ...]
"""Signs of which one at least is there."""


def needed(tree: Tree) -> list[Needed]:
    """Signs of the call without which a condition is never true, but false, whatever else it says or cannot say.

    They are taken from what `&&` and `||` join, and from no condition with a loop, or with a map that says a key twice:
    that is an error whatever stands beside it.
    """
    return [] if loops_deep(tree) or _says_twice(tree) else _needed(tree)


def _says_twice(tree: Tree) -> bool:
    if isinstance(tree, MapOf):
        keys = [key.value for key, _ in tree.entries if isinstance(key, Constant)]
        if len(set(keys)) < len(tree.entries):
            return True
    return any(map(_says_twice, _parts(tree)))


def _needed(tree: Tree) -> list[Needed]:
    match tree:
        case Call("_&&_", parts):
            return [each for part in parts for each in _needed(part)]
        case Call("_||_", parts):
            # Of each alternative what is soonest looked at; where one has no sign, the others say nothing.
            either = [min(_needed(part), key=_effort, default=()) for part in parts]
            return [tuple(sign for each in either for sign in each)] if all(either) else []
        case Call("matches", (subject, Constant("string", pattern))):
            if pattern and (path := _path(subject)):
                return [(Sign(("arguments", *path), pattern=pattern),)]
        case Call("_==_", (Name("arguments"), MapOf() as literal)):
            return [(sign,) for sign in _signs_of(literal)]
        case Call("_==_", (Name(name), Constant("string", text))):
            return [(Sign((name,), text),)]
    return []


def _effort(each: Needed) -> tuple[int, list[tuple[bool, bool]]]:
    return len(each), [sign.effort for sign in each]


def _signs_of(literal: MapOf) -> Iterator[Sign]:
    """The texts of a map that arguments must equal; none of one that could be an error instead."""
    if not _is_plain(literal):
        return
    for key, value in literal.entries:
        match key, value:
            case Constant("string", name), Constant("string", text):
                yield Sign(("arguments", name), text)


def _is_plain(tree: Tree) -> bool:
    """Whether it is written out to the last, so that there is nothing to evaluate that could fail."""
    match tree:
        case Constant():
            return True
        case ListOf(elements):
            return all(map(_is_plain, elements))
        case MapOf(entries):
            return all(_is_plain(each) for entry in entries for each in entry)
    return False


def _path(tree: Tree) -> tuple[str, ...]:
    """The names that lead from the arguments to a field of theirs; empty for anything else."""
    names: list[str] = []
    while isinstance(tree, Select) and not tree.is_test:
        names.append(tree.field)
        tree = tree.operand
    return tuple(reversed(names)) if tree == Name("arguments") else ()


def equalities(tree: Tree) -> dict[str, frozenset[str]]:
    """For each variable that must equal one of some texts wherever the condition can be true: those texts.

    They are taken from the conjunction at its top: `x == "a"` and `x in ["a", "b"]`. No text at all means
    that the condition is never true.
    """
    found: dict[str, frozenset[str]] = {}
    for part in _conjuncts(tree):
        for name, texts in _pinned(part):
            found[name] = found[name] & texts if name in found else texts
    return found


def _conjuncts(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Call) and tree.function == "_&&_":
        for part in tree.arguments:
            yield from _conjuncts(part)
    else:
        yield tree


def _pinned(tree: Tree) -> Iterator[tuple[str, frozenset[str]]]:
    match tree:
        case Call("_==_", (Name(name), Constant("string", text))):
            yield name, frozenset({text})
        case Call("_==_", (Constant("string", text), Name(name))):
            yield name, frozenset({text})
        case Call("@in", (Name(name), ListOf(elements))):
            texts = [
                one.value for one in elements if isinstance(one, Constant) and one.kind == "string"
            ]
            if len(texts) == len(elements):
                yield name, frozenset(texts)


def _parts(tree: Tree) -> tuple[Tree, ...]:
    match tree:
        case Select(operand):
            return (operand,)
        case Call(_, arguments):
            return arguments
        case ListOf(elements):
            return elements
        case MapOf(entries):
            return tuple(part for entry in entries for part in entry)
        case Loop():
            return (tree.over, *tree.inside)
    return ()


# The wire format: https://protobuf.dev/programming-guides/encoding/


def _tree(message: bytes) -> Tree:
    """`cel.expr.Expr`: one of its fields 3 to 9 is set."""
    fields = _fields(message)
    kind = next(number for number in fields if number != 2)
    inner = _fields(fields[kind][0])
    match kind:
        case 3:
            return _constant(inner)
        case 4:
            return Name(_text(inner[1][0]))
        case 5:
            return Select(_tree(inner[1][0]), _text(inner[2][0]), bool(inner.get(3, [0])[0]))
        case 6:
            arguments = tuple(_tree(one) for one in (*inner[1], *inner[3]))
            return Call(_text(inner[2][0]), arguments, is_method=bool(inner[1]))
        case 7 if not inner[2]:
            return ListOf(tuple(map(_tree, inner[1])))
        case 8:
            entries = [_fields(entry) for entry in inner[2]]
            return MapOf(tuple((_tree(one[3][0]), _tree(one[4][0])) for one in entries))
        case 9 if not inner[8]:
            parts = [_tree(inner[number][0]) for number in (2, 4, 5, 6, 7)]
            return Loop(_text(inner[1][0]), _text(inner[3][0]), *parts)
    raise ValueError(f"expression of kind {kind}")


def _constant(fields: dict[int, list[Any]]) -> Constant:
    [(kind, [value])] = fields.items()
    match kind:
        case 1:
            return Constant("null", None)
        case 2:
            return Constant("bool", bool(value))
        case 3:
            return Constant("int", value - (1 << 64) if value >> 63 else value)
        case 4:
            return Constant("uint", value)
        case 5:
            return Constant("double", struct.unpack("<d", value)[0])
        case 6:
            return Constant("string", _text(value))
        case 7:
            return Constant("bytes", value)
    raise ValueError(f"constant of kind {kind}")


def _text(value: bytes) -> str:
    return value.decode()


def _fields(message: bytes) -> dict[int, list[Any]]:
    """A message's fields by number: varints as ints, all others as bytes."""
    fields: dict[int, list[Any]] = defaultdict(list)
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        match tag & 7:
            case 0:
                value, place = _varint(message, place)
                fields[tag >> 3].append(value)
            case 1:
                fields[tag >> 3].append(message[place : place + 8])
                place += 8
            case 2:
                size, place = _varint(message, place)
                fields[tag >> 3].append(message[place : place + size])
                place += size
            case wire:
                raise ValueError(f"wire type {wire}")
    if place != len(message):
        raise ValueError("a field that ends after its message")
    return fields


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7

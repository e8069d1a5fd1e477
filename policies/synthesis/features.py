"""What can be read from a call's arguments and asked about in a condition.

A feature reads the values at one path; a predicate asks whether one of them is a given value. Both
know themselves in Python (to search thousands of calls fast), in CEL and in words.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from policies.synthesis.calls import identity
from policies.synthesis.literals import EACH, Each, Path, at, literal, present, spoken

PREFIX_PARTS = 4
"""Longest prefix tried, in words: `gift_` and `gift_card_` are one and two."""
DEPTH_LIMIT = 4
"""Steps of a path looked at; conditions on deeper values are hard to read and rarely telling."""
SHOWN_LIMIT = 120
"""Characters of a value in an explanation."""
LIST_SAMPLE = 20
"""Elements of a list whose paths are looked at."""

_STARTS = {
    parts: re.compile(rf"[\W_]*+(?:[^\W_]++[\W_]++){{{parts}}}")
    for parts in range(1, PREFIX_PARTS + 1)
}
_WORD = re.compile(r"\w{2,}", re.ASCII)  # ASCII, because \b in RE2 is

Values = Mapping[Hashable, Any]
"""What a feature reads: each value by its identity."""


class Feature(Protocol):
    """One thing to read at one path. `nodes` are the values there, several under a list."""

    @property
    def path(self) -> Path: ...

    def read(self, nodes: Sequence[Any]) -> Values: ...

    def source(self, values: Sequence[Any]) -> str:
        """CEL: one of these values was read."""
        ...

    def sentence(self, values: Sequence[Any]) -> str:
        """The same for a person, after "when"."""
        ...


def nodes_at(arguments: Mapping[str, Any], path: Path) -> list[Any]:
    """The values at a path: none when it is missing, one for each element under a list."""
    nodes: list[Any] = [arguments]
    for step in path:
        if isinstance(step, Each):
            nodes = [inner for node in nodes if isinstance(node, list) for inner in node]
        else:
            nodes = [node[step] for node in nodes if isinstance(node, Mapping) and step in node]
    return nodes


@dataclass(frozen=True)
class Is:
    """The value itself, where it is simple or an element of a list."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        return {identity(node): node for node in nodes}

    def source(self, values: Sequence[Any]) -> str:
        if len(values) == 1:
            return at(self.path, lambda node: f"{node} == {literal(values[0])}")
        return at(self.path, lambda node: f"{node} in {literal(list(values))}")

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} is {' or '.join(map(_shown, values))}"


@dataclass(frozen=True)
class HasType:
    """The JSON type of the value."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        return {kind: kind for kind in map(type_of, nodes)}

    def source(self, values: Sequence[Any]) -> str:
        return at(self.path, lambda node: has_type(node, values[0]))

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} is of type {values[0]}"


@dataclass(frozen=True)
class IsEmpty:
    """Whether a text, list or map is empty; read as the empty value, or as None when filled."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        emptied = (
            "" if isinstance(node, str) else [] if isinstance(node, list) else {} for node in nodes
        )
        found = (
            empty if node == empty else None for node, empty in zip(nodes, emptied, strict=True)
        )
        return {identity(value): value for value in found}

    def source(self, values: Sequence[Any]) -> str:
        return at(self.path, lambda node: f"{node} == {literal(values[0])}")

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} is empty"


@dataclass(frozen=True)
class StartsWith:
    """The first few words of a text, with what separates them."""

    path: Path
    parts: int

    def read(self, nodes: Sequence[Any]) -> Values:
        pattern = _STARTS[self.parts]
        found = [pattern.match(node) for node in nodes if isinstance(node, str)]
        return {start[0]: start[0] for start in found if start}

    def source(self, values: Sequence[Any]) -> str:
        return at(
            self.path,
            lambda node: f"{has_type(node, 'string')} && {node}.startsWith({literal(values[0])})",
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} starts with {_shown(values[0])}"


@dataclass(frozen=True)
class HasWord:
    """The words and identifiers inside a text, such as a command or a query."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        return {
            word: word for node in nodes if isinstance(node, str) for word in _WORD.findall(node)
        }

    def source(self, values: Sequence[Any]) -> str:
        pattern = literal(rf"\b{values[0]}\b")
        return at(
            self.path, lambda node: f"{has_type(node, 'string')} && {node}.matches({pattern})"
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} contains the word {_shown(values[0])}"


@dataclass(frozen=True)
class HasKey:
    """The names of the arguments given."""

    path: Path = ()

    def read(self, nodes: Sequence[Any]) -> Values:
        return {name: name for node in nodes for name in node}

    def source(self, values: Sequence[Any]) -> str:
        return present("arguments", values[0])

    def sentence(self, values: Sequence[Any]) -> str:
        return f"the argument {values[0]} is given"


@dataclass(frozen=True)
class LacksKey:
    """The names of arguments that good calls give and this one does not."""

    known: frozenset[str]
    path: Path = ()

    def read(self, nodes: Sequence[Any]) -> Values:
        return {name: name for node in nodes for name in self.known if name not in node}

    def source(self, values: Sequence[Any]) -> str:
        return f"!({present('arguments', values[0])})"

    def sentence(self, values: Sequence[Any]) -> str:
        return f"the argument {values[0]} is missing"


@dataclass(frozen=True)
class Beyond:
    """A number at or past a bound, upwards or downwards; the bound is the predicate's value."""

    path: Path
    bound: int | float
    is_upwards: bool

    def read(self, nodes: Sequence[Any]) -> Values:
        # A number within the bound is read as itself, so that its variety stays visible.
        return {
            (self.bound if self._is_beyond(node) else node): self.bound
            for node in nodes
            if is_number(node)
        }

    def _is_beyond(self, node: int | float) -> bool:
        return node >= self.bound if self.is_upwards else node <= self.bound

    def source(self, values: Sequence[Any]) -> str:
        sign = ">=" if self.is_upwards else "<="
        return at(
            self.path,
            lambda node: f"{has_type(node, 'number')} && {node} {sign} {literal(values[0])}",
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return (
            f"{spoken(self.path)} is {_shown(values[0])} or {'more' if self.is_upwards else 'less'}"
        )


@dataclass(frozen=True)
class Predicate:
    """One question about a call: was one of these values read?"""

    feature: Feature
    values: tuple[Any, ...] = field(compare=False)  # maps do not hash; their identities do
    identities: frozenset[Hashable] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", frozenset(map(identity, self.values)))

    @property
    def source(self) -> str:
        return self.feature.source(self.values)

    @property
    def sentence(self) -> str:
        return self.feature.sentence(self.values)


def _shown(value: Any) -> str:
    """A value in an explanation, cut where it is long."""
    text = literal(value)
    return text if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]}…"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_simple(value: Any) -> bool:
    return not isinstance(value, list | Mapping)


def type_of(value: Any) -> str:
    """The JSON type in CEL's words, where int and double are both "number"."""
    if is_number(value):
        return "number"
    names = {bool: "bool", str: "string", list: "list", type(None): "null_type"}
    return names.get(type(value), "map")


def has_type(node: str, name: str) -> str:
    """CEL for: the value of this expression is of this type."""
    if name == "number":
        return f"(type({node}) == int || type({node}) == double)"
    return f"type({node}) == {name}"


def paths_of(arguments: Mapping[str, Any]) -> list[Path]:
    """Every path worth looking at, in a fixed order; at most one list deep."""
    return list(dict.fromkeys(_walk(arguments, ())))


def _walk(node: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if len(path) == DEPTH_LIMIT:
        return
    if isinstance(node, Mapping):
        for name in sorted(node):
            yield from _walk(node[name], (*path, name))
    elif isinstance(node, list) and EACH not in path:
        for inner in node[:LIST_SAMPLE]:
            yield from _walk(inner, (*path, EACH))


def features_of(path: Path, nodes: Sequence[Any]) -> Iterator[Feature]:
    """What is worth asking about the values a failing call has at this path."""
    kinds = set(map(type_of, nodes))
    if kinds - {"map", "list"} or path[-1] is EACH:
        yield Is(path)
    yield HasType(path)
    if kinds & {"string", "list", "map"}:
        yield IsEmpty(path)
    if "string" in kinds:
        yield from (StartsWith(path, parts) for parts in range(1, PREFIX_PARTS + 1))
        yield HasWord(path)

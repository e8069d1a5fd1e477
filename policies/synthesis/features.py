"""What can be read from a call's arguments and asked about in a condition.

A feature reads the values at one path; a predicate asks whether one of them is a given value. Both
know themselves in Python (to search thousands of calls fast), in CEL and in words.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from governance import redaction
from policies.synthesis.calls import identity
from policies.synthesis.literals import EACH, Path, at, literal, present, spoken
from policies.synthesis.literals import field as member
from policies.synthesis.messages import WHOLE
from policies.synthesis.reading import (
    Feature,
    Values,
    escaped,
    has_type,
    nodes_at,
    shape_of,
    shown,
    type_of,
)

PREFIX_PARTS = 4
"""Longest prefix tried, in words: `gift_` and `gift_card_` are one and two."""
DEPTH_LIMIT = 4
"""Steps of a path looked at; conditions on deeper values are hard to read and rarely telling."""
LIST_SAMPLE = 20
"""Elements of a list whose paths are looked at."""

_STARTS = {
    parts: re.compile(rf"[\W_]*+(?:[^\W_]++[\W_]++){{{parts}}}")
    for parts in range(1, PREFIX_PARTS + 1)
}
_WORD = re.compile(r"\w{2,}", re.ASCII)  # ASCII, because \b in RE2 is


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
        return f"{spoken(self.path)} is {' or '.join(map(shown, values))}"


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
        return f"{spoken(self.path)} starts with {shown(values[0])}"


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
        return f"{spoken(self.path)} contains the word {shown(values[0])}"


@dataclass(frozen=True)
class Mentions:
    """What stands inside a text as a word of its own: an identifier, a file, an option; not as a part of another."""

    path: Path
    token: str

    def read(self, nodes: Sequence[Any]) -> Values:
        found = any(isinstance(node, str) and self._found.search(node) for node in nodes)
        return {self.token: self.token} if found else {}

    @property
    def _found(self) -> re.Pattern[str]:
        return _whole_word(self.token)

    def source(self, values: Sequence[Any]) -> str:
        pattern = literal(_whole_word(values[0]).pattern)
        return at(
            self.path, lambda node: f"{has_type(node, 'string')} && {node}.matches({pattern})"
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} names {shown(values[0])}"


@lru_cache(maxsize=4_096)
def _whole_word(token: str) -> re.Pattern[str]:
    return re.compile(rf"(^|[^{WHOLE}]){escaped(token)}($|[^{WHOLE}])", re.ASCII)


MAKES = ("alter", "clone", "create", "curl", "install", "mkdir", "touch", "wget")
"""Words of a command or a query that makes or fetches what is missing."""
LOOKS = (
    *("cd", "pushd", "use"),
    *("find", "locate", "man", "search", "whereis", "which"),
    *("information_schema", "pg_catalog", "sqlite_master", "sqlite_schema"),
)
"""Words of one that goes where it may be, or looks for it."""


@dataclass(frozen=True)
class LeavesAsIs:
    """A text without the words that change what is missing, or where; read as an empty text.

    ``but`` are those that may stand in it: whoever failed with them was not helped by them.
    """

    path: Path
    but: frozenset[str] = frozenset()

    def read(self, nodes: Sequence[Any]) -> Values:
        texts = [node for node in nodes if isinstance(node, str)]
        changed = _one_of(self._words)
        return {"": ""} if texts and not any(map(changed.search, texts)) else {}

    @property
    def _words(self) -> tuple[str, ...]:
        return tuple(word for word in (*MAKES, *LOOKS) if word not in self.but)

    def source(self, values: Sequence[Any]) -> str:
        pattern = literal(_one_of(self._words).pattern)
        return at(
            self.path, lambda node: f"{has_type(node, 'string')} && !{node}.matches({pattern})"
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} neither makes it nor looks for it elsewhere"

    @staticmethod
    def after(path: Path, text: str) -> "LeavesAsIs":
        """What a text failed without; with those of the words that it had."""
        had = (word for word in (*MAKES, *LOOKS) if _one_of((word,)).search(text))
        return LeavesAsIs(path, frozenset(had))


@lru_cache(maxsize=256)
def _one_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?i)(^|[^\w-])({'|'.join(words)})($|[^\w-])", re.ASCII)


@dataclass(frozen=True)
class ReadsFrom:
    """The tables that a query reads from, in order; read as a tuple of their names in small letters."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        found = [self.of(node) for node in nodes if isinstance(node, str)]
        return {sources: sources for sources in found if sources}

    @staticmethod
    def of(query: str) -> tuple[str, ...]:
        return tuple(found.lower() for found in _SOURCE.findall(query))

    def source(self, values: Sequence[Any]) -> str:
        [tables] = values
        in_order = ".*".join(rf"\b(from|join)\s+{escaped(table)}\b" for table in tables)
        more = r"\b(from|join)\s+\w.*" * (len(tables) + 1)
        wanted, unwanted = literal(f"(?is){in_order}"), literal(f"(?is){more}")
        return at(
            self.path,
            lambda node: (
                f"{has_type(node, 'string')} && {node}.matches({wanted}) && !{node}.matches({unwanted})"
            ),
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} reads from {' and '.join(values[0])} alone"


_SOURCE = re.compile(r"\b(?:from|join)\s+(\w+)\b", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Together:
    """Several values in one element of a list; read as a map of these names."""

    path: Path
    names: tuple[str, ...]

    def read(self, nodes: Sequence[Any]) -> Values:
        found = [
            {name: node[name] for name in self.names}
            for node in nodes
            if isinstance(node, Mapping) and all(name in node for name in self.names)
        ]
        return {identity(one): one for one in found}

    def source(self, values: Sequence[Any]) -> str:
        def test(node: str) -> str:
            tests = (
                f"{present(node, name)} && {member(node, name)} == {literal(values[0][name])}"
                for name in self.names
            )
            return f"type({node}) == map && {' && '.join(tests)}"

        return at(self.path, test)

    def sentence(self, values: Sequence[Any]) -> str:
        said = " and ".join(f"{name} {shown(values[0][name])}" for name in self.names)
        return f"one of {spoken(self.path)} has {said}"


@dataclass(frozen=True)
class Shaped:
    """How a text is built: which sorts of characters follow each other; read as a pattern."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        found = [shape_of(node) for node in nodes if isinstance(node, str)]
        return {shape: shape for shape in found}

    def source(self, values: Sequence[Any]) -> str:
        pattern = literal(values[0])
        return at(
            self.path, lambda node: f"{has_type(node, 'string')} && {node}.matches({pattern})"
        )

    def sentence(self, values: Sequence[Any]) -> str:
        return f"{spoken(self.path)} is built like {shown(values[0])}"


@dataclass(frozen=True)
class HasSort:
    """Which sorts of characters occur in a text: letters, or a sign; read as a class of a pattern."""

    path: Path

    def read(self, nodes: Sequence[Any]) -> Values:
        texts = [node for node in nodes if isinstance(node, str)]
        return {sort: sort for text in texts for sort in map(sort_of, text)}

    def source(self, values: Sequence[Any]) -> str:
        pattern = literal(values[0])
        return at(
            self.path, lambda node: f"{has_type(node, 'string')} && {node}.matches({pattern})"
        )

    def sentence(self, values: Sequence[Any]) -> str:
        what = "a letter" if values[0] == LETTER else f"the character {values[0]}"
        return f"{spoken(self.path)} contains {what}"


LETTER, DIGIT = "[A-Za-z]", "[0-9]"


_LETTER = re.compile(LETTER)


def has_letter(text: str) -> bool:
    """Whether a character of a text is of the sort LETTER."""
    return _LETTER.search(text) is not None


def sort_of(character: str) -> str:
    """The sort of a character as a class of a pattern: a letter, a digit, or this very sign."""
    if character.isascii() and character.isalpha():
        return LETTER
    if character.isascii() and character.isdigit():
        return DIGIT
    return f"[{escaped(character)}]"


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
class Predicate:
    """One question about a call: was one of these values read?"""

    feature: Feature
    values: tuple[Any, ...] = field(compare=False)  # maps do not hash; their identities do
    identities: frozenset[Hashable] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", frozenset(map(identity, self.values)))

    def is_true_of(self, arguments: Mapping[str, Any]) -> bool:
        """Whether one of these values is read from a call's arguments."""
        nodes = nodes_at(arguments, self.feature.path)
        return bool(nodes) and not self.identities.isdisjoint(self.feature.read(nodes))

    @property
    def source(self) -> str:
        return self.feature.source(self.values)

    @property
    def sentence(self) -> str:
        return self.feature.sentence(self.values)


def is_simple(value: Any) -> bool:
    return not isinstance(value, list | Mapping)


def is_secret(name: str, value: Any) -> bool:
    """Whether an argument is named for a secret."""
    return bool(redaction.masked({name: value}) == {name: redaction.MASK})


def tellable(feature: Feature, nodes: Sequence[Any]) -> Values:
    """What a feature reads that may be told: nothing that is, or comes from, what looks like a secret."""
    said = feature.read(nodes)
    shown = [redaction.masked(node) for node in nodes]
    if shown == list(nodes):
        return said
    # A mask ends a word, and is none itself.
    left = feature.read(
        [each.replace(redaction.MASK, "\n") if isinstance(each, str) else each for each in shown]
    )
    return {key: value for key, value in said.items() if key in left}


def paths_of(arguments: Mapping[str, Any]) -> list[Path]:
    """Every path worth looking at, in a fixed order; at most one list deep, and none to a secret: rules are shown."""
    return list(dict.fromkeys(_walk(arguments, ())))


def _walk(node: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if len(path) == DEPTH_LIMIT:
        return
    if isinstance(node, Mapping):
        for name in sorted(node):
            if not is_secret(name, node[name]):
                yield from _walk(node[name], (*path, name))
    elif isinstance(node, list) and EACH not in path:
        for inner in node[:LIST_SAMPLE]:
            yield from _walk(inner, (*path, EACH))


def features_of(path: Path, nodes: Sequence[Any], *, are_whole: bool) -> Iterator[Feature]:
    """What is worth asking about the values a failing call has at this path; ``are_whole``: not about parts of texts."""
    kinds = set(map(type_of, nodes))
    if kinds - {"map", "list"} or path[-1] is EACH:
        yield Is(path)
    yield HasType(path)
    if kinds & {"string", "list", "map"}:
        yield IsEmpty(path)
    if "string" in kinds and not are_whole:
        yield from (StartsWith(path, parts) for parts in range(1, PREFIX_PARTS + 1))
        yield HasWord(path)

"""What a condition says, as a tree: its parts, and how to walk, change and write them.

`reading.tree` makes trees. Two spellings of one thing are one tree: `a["b"]` and `a.b`, the
names of bound variables, `"k" in arguments` and `has(arguments.k)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from policies.identifiers import is_identifier

MAPS = ("arguments", "context")
"""Variables that are always maps, so that `in` and `has` ask the same."""

TYPES = frozenset(
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"]
)
"""Names that stand for a type and not for something of the call."""


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: `kind` is null, bool, int, uint, double, string or bytes."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable (`action.tool`, `arguments`), a type, or what a macro binds (`_0`, `_1`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """The value at a key of a map."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a map has a key."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function by CEL's name for it (`_&&_`, `@in`, `startsWith`), the receiver first."""

    function: str
    args: tuple[Node, ...]
    is_method: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A map literal, as pairs."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """`exists` or `all` over a list or the keys of a map; the body calls each one by `variable`."""

    word: str
    over: Node
    variable: str
    body: Node


Node: TypeAlias = Const | Name | Field | Has | Call | Items | Entries | Macro


def inside(node: Node) -> Iterator[Node]:
    """The node's parts, one level down."""
    match node:
        case Field(of) | Has(of):
            yield of
        case Call(_, args):
            yield from args
        case Items(items):
            yield from items
        case Entries(entries):
            for key, value in entries:
                yield key
                yield value
        case Macro(_, over, _, body):
            yield over
            yield body


def every(node: Node) -> Iterator[Node]:
    """The node and all its parts."""
    yield node
    for part in inside(node):
        yield from every(part)


def is_constant(node: Node) -> bool:
    """Whether it is the same for every call: a literal made of literals, or a type."""
    match node:
        case Const():
            return True
        case Name(name):
            return name in TYPES
        case Items() | Entries():
            return all(map(is_constant, inside(node)))
    return False


def value_of(node: Node) -> Any:
    """A constant as JSON. Raises ValueError for what JSON does not have."""
    match node:
        case Const("bytes" | "uint"):
            raise ValueError("no JSON")
        case Const(_, value):
            return value
        case Items(items):
            return [value_of(item) for item in items]
        case Entries(entries):
            pairs = [(value_of(key), value_of(value)) for key, value in entries]
            if all(isinstance(key, str) for key, _ in pairs):
                return dict(pairs)
    raise ValueError("no JSON")


def put(node: Node, known: Mapping[Node, Node]) -> Node:
    """The same with parts replaced, the largest first. What has a value is there, for `has`."""
    if node in known:
        return known[node]
    match node:
        case Has(of, name) if Field(of, name) in known:
            return Const("bool", value=True)
        case Field(of, name):
            return Field(put(of, known), name)
        case Has(of, name):
            return Has(put(of, known), name)
        case Call(function, args, is_method):
            return Call(function, tuple(put(arg, known) for arg in args), is_method)
        case Items(items):
            return Items(tuple(put(item, known) for item in items))
        case Entries(entries):
            return Entries(tuple((put(key, known), put(value, known)) for key, value in entries))
        case Macro(word, over, variable, body):
            return Macro(word, put(over, known), variable, put(body, known))
    return node


# --- As text -----------------------------------------------------------------------------------

_OPERATORS = {
    "_&&_": "&&",
    "_||_": "||",
    "_==_": "==",
    "_!=_": "!=",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
    "_-_": "-",
    "_*_": "*",
    "_/_": "/",
    "_%_": "%",
    "@in": "in",
}


def text(node: Node) -> str:
    """CEL with this very tree; every operator in parentheses."""
    match node:
        case Const(kind, value):
            return _constant(kind, value)
        case Name(name):
            return name
        case Field(of, name):
            return f"{text(of)}.{name}" if is_identifier(name) else f"{text(of)}[{_quoted(name)}]"
        case Has(of, name):
            return (
                f"has({text(of)}.{name})"
                if is_identifier(name)
                else f"({_quoted(name)} in {text(of)})"
            )
        case Items(items):
            return f"[{', '.join(map(text, items))}]"
        case Entries(entries):
            return f"{{{', '.join(f'{text(key)}: {text(value)}' for key, value in entries)}}}"
        case Macro(word, over, variable, body):
            return f"{text(over)}.{word}({variable}, {text(body)})"
        case Call():
            return _call(node)


def _call(node: Call) -> str:
    said = [text(arg) for arg in node.args]
    match node.function:
        case "!_" | "-_":
            return f"({node.function[0]}{said[0]})"
        case "_?_:_":
            return f"({said[0]} ? {said[1]} : {said[2]})"
        case "_[_]":
            return f"{said[0]}[{said[1]}]"
        case function if function in _OPERATORS:
            return f"({said[0]} {_OPERATORS[function]} {said[1]})"
        case function if node.is_method:
            return f"{said[0]}.{function}({', '.join(said[1:])})"
        case function:
            return f"{function}({', '.join(said)})"


def _constant(kind: str, value: Any) -> str:
    match kind:
        case "null":
            return "null"
        case "bool":
            return "true" if value else "false"
        case "string":
            return _quoted(value)
        case "bytes":
            return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
        case "uint":
            return f"{value}u"
        case "int" | "double" if value < 0:
            return f"({value!r})"
    return repr(value)


def _quoted(value: str) -> str:
    escaped = re.sub(r'["\\\x00-\x1f\x7f]', lambda found: f"\\u{ord(found[0]):04x}", value)
    return f'"{escaped}"'

"""What every question about a call's arguments stands on: values at a path, their types, their shapes."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

from policies.synthesis.literals import Each, Path, literal

SHOWN_LIMIT = 120
"""Characters of a value in an explanation."""

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


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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


def shape_of(text: str) -> str:
    """The pattern that texts built alike match: `#W12` and `#X7` are both a sign, capitals and digits."""
    return "^" + _RUN.sub(_run, text) + "$"


_RUN = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|[^A-Za-z0-9]")


def _run(found: re.Match[str]) -> str:
    first = found[0][0]
    if first.isascii() and first.isalnum():
        return "[A-Z]+" if first.isupper() else "[a-z]+" if first.islower() else "[0-9]+"
    return escaped(found[0])


def escaped(text: str) -> str:
    """A text as a pattern that matches it, for RE2."""
    return "".join(
        f"\\{one}" if one.isascii() and not one.isalnum() and one not in "_ \n\t\r" else one
        for one in text
    )


def shown(value: Any) -> str:
    """A value in an explanation, cut where it is long."""
    text = literal(value)
    return text if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]}…"

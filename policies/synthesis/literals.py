"""JSON values and paths into arguments, written as CEL."""

import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from policies.identifiers import is_identifier

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

# Line ends, controls, and what a reviewer could not see or would read in another order.
_ESCAPED = re.compile(
    r'["\\\x01-\x1f\x7f-\xa0\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]'
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Each(Enum):
    """The step of a path that means: any element of this list."""

    EACH = "[]"


EACH: Final = Each.EACH
Path = tuple[str | Each, ...]


def literal(value: Any) -> str:
    """A JSON value as a CEL literal that is equal to it.

    Raises ValueError for what CEL cannot hold or compare: integers over 64 bits, NaN and infinities,
    NUL (the engine cuts arguments there) and lone surrogates, and for what is not JSON.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int():
            if not INT_MIN <= value <= INT_MAX:
                raise ValueError("an integer over 64 bits")
            return str(value)
        case float():
            if not math.isfinite(value):
                raise ValueError("a number that is not finite")
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(literal(inner) for inner in value)}]"
        case Mapping():
            pairs = (f"{_text(name)}: {literal(inner)}" for name, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
    raise ValueError(f"{type(value).__name__} is not JSON")


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate") from None
    return f'"{_ESCAPED.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"


def present(owner: str, name: str) -> str:
    """CEL for: this map has this key."""
    if is_identifier(name):
        return f"has({owner}.{name})"
    return f"{literal(name)} in {owner}"


def field(owner: str, name: str) -> str:
    """CEL for the value at a key."""
    return f"{owner}.{name}" if is_identifier(name) else f"{owner}[{literal(name)}]"


def at(path: Path, test: Callable[[str], str]) -> str:
    """CEL that is true when a value at `path` in the arguments passes `test`, which takes its expression.

    It is false, never an error, when the path is missing or something on the way has another type:
    in CEL a false side absorbs the error of the other.
    """
    return _at("arguments", path, test, is_map=True)


def _at(owner: str, path: Path, test: Callable[[str], str], *, is_map: bool) -> str:
    if not path:
        return test(owner)
    step, rest = path[0], path[1:]
    if isinstance(step, Each):
        return f"type({owner}) == list && {owner}.exists(item, {_at('item', rest, test, is_map=False)})"
    guard = present(owner, step) if is_map else f"type({owner}) == map && {present(owner, step)}"
    return f"{guard} && {_at(field(owner, step), rest, test, is_map=False)}"


def spoken(path: Path) -> str:
    """A path as a person would write it: `flights[].date`."""
    return "".join(step.value if isinstance(step, Each) else f".{step}" for step in path).lstrip(
        "."
    )

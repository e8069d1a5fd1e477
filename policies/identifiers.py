"""Which names CEL takes as they are, after a dot; any other is written as a text in brackets."""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Reserved by the specification; cel-cpp takes some of them as field names, and other engines do not.
_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


def is_identifier(name: str) -> bool:
    """Whether `a.name` can be written."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED

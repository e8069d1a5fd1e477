"""How two wordings of a policy differ, in lines that a person can compare."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

_JOINTS = re.compile(r"\s*(&&|\|\|)\s*")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


@dataclass(frozen=True)
class Line:
    """One line of a difference: ``op`` is "-" for what went, "+" for what came, "=" for what stayed."""

    op: str
    text: str

    def __str__(self) -> str:
        return f"{' ' if self.op == '=' else self.op} {self.text}"


def lines_of(condition: str) -> list[str]:
    """A condition with each ``&&`` and ``||`` at the beginning of a line of its own; texts in quotes stay whole."""
    quoted: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        quoted.append(found.group())
        return f"\x00{len(quoted) - 1}\x00"

    bare = _QUOTED.sub(put_aside, condition)
    broken = _JOINTS.sub(r"\n\1 ", bare).splitlines()
    return [
        re.sub(r"\x00(\d+)\x00", lambda found: quoted[int(found.group(1))], line).strip()
        for line in broken
        if line.strip()
    ]


def difference(before: str, after: str) -> list[Line]:
    """What changed from one condition to another, in order."""
    return list(_difference(lines_of(before), lines_of(after)))


def _difference(before: list[str], after: list[str]) -> Iterator[Line]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for op, i1, i2, j1, j2 in matcher.get_opcodes():
        if op == "equal":
            yield from (Line("=", text) for text in before[i1:i2])
        else:
            yield from (Line("-", text) for text in before[i1:i2])
            yield from (Line("+", text) for text in after[j1:j2])

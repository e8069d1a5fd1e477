"""Two templates side by side: what of one is a value, and where the other says something else."""

from __future__ import annotations

from dataclasses import dataclass

from .likeness import compared
from .signature import VALUE, shape_of
from .words import spans_of

__all__ = ["Mark", "marked"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a template: ``kind`` is "same", "value", or "other" where the other template says something else."""

    text: str
    kind: str


def marked(template: str, other: str) -> list[Mark]:
    """The stretches of a template in order, as it compares with another one; together they are the template."""
    shape = shape_of(template)
    _, differences = compared(shape_of(other), shape)
    differing = {each.at + offset for each in differences for offset in range(len(each.there))}
    marks: list[Mark] = []
    end = 0
    # A template longer than a shape looks at goes on without marks.
    for place, (start, stop) in enumerate(spans_of(template)[: len(shape)]):
        if start > end:
            marks.append(Mark(template[end:start], "same"))
        kind = "value" if shape[place] == VALUE else "other" if place in differing else "same"
        marks.append(Mark(template[start:stop], kind))
        end = stop
    if end < len(template):
        marks.append(Mark(template[end:], "same"))
    return _joined(marks)


def _joined(marks: list[Mark]) -> list[Mark]:
    joined: list[Mark] = []
    for mark in marks:
        if joined and joined[-1].kind == mark.kind:
            joined[-1] = Mark(joined[-1].text + mark.text, mark.kind)
        else:
            joined.append(mark)
    return joined

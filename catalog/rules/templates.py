"""A template as people read it: what was the same each time, and where a value stood."""

from __future__ import annotations

from dataclasses import dataclass

import re2

from .words import PLACEHOLDERS

__all__ = ["Part", "parts_of"]

_SLOT = re2.compile(rf"<({'|'.join(sorted(PLACEHOLDERS))})>")

MEANS = {
    "num": "a number",
    "id": "an identifier",
    "hex": "a number in hexadecimal",
    "uuid": "a UUID",
    "path": "a path",
    "time": "a time",
    "date": "a date",
    "ip": "an address of a network",
    "url": "an address of the web",
    "email": "an address of a mailbox",
    "str": "a text in quotation marks",
    "name": "a name",
    "bool": "true, false or nothing",
    "val": "a value",
    "cause": "what another failure said",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a template; ``means`` says what stood there, empty where it was always the same text."""

    text: str
    means: str = ""


def parts_of(template: str) -> list[Part]:
    """The stretches in order; together they are the template."""
    parts: list[Part] = []
    at = 0
    for found in _SLOT.finditer(template):
        if found.start() > at:
            parts.append(Part(template[at : found.start()]))
        parts.append(Part(found.group(), MEANS[found.group(1)]))
        at = found.end()
    if at < len(template):
        parts.append(Part(template[at:]))
    return parts

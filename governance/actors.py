"""Who did it: a person, a service account, an agent or the product itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "service", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. ``str(actor)`` is what records keep: ``user:7``, ``service:acc_…``, ``system:loop``."""

    kind: Kind
    id: str
    name: str = ""

    @property
    def is_person(self) -> bool:
        return self.kind == "user"

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


LOOP = Actor("system", "loop", "the loop")
GUARD = Actor("system", "guard", "the guard")
CLOCK = Actor("system", "clock", "the clock")
COMMAND = Actor("system", "command", "a command on the server")

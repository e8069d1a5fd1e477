"""The running product and everything around it, as a fault finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .figures import Figures
from .invariants import Acknowledged
from .kills import Victims
from .outside import Outside
from .outsider import Outsider
from .place import Place
from .programs import Supervisor

Say = Callable[[str], object]


@dataclass(slots=True)
class Site:
    """What a fault may take hold of. ``backups`` are files with what had been acknowledged before they were begun."""

    place: Place
    supervisor: Supervisor
    client: Outsider
    outside: Outside
    victims: Victims
    figures: Figures
    say: Say
    backups: list[tuple[Path, Acknowledged]] = field(default_factory=list)
    poisoned_at: float = 0.0

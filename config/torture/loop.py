"""The product's loop with crash points and poison in its bridges; what ANTIBODY_LOOP names under torture."""

from __future__ import annotations

from config.loop import BRIDGES as OURS
from config.loop import (
    CAME_OF_PATTERN,
    DECISIONS,
    GRADUATION,
    REASONS,
    RECORDS,
    TIMELINE_OPENED,
)

from . import points, poison

__all__ = [
    "BRIDGES",
    "CAME_OF_PATTERN",
    "DECISIONS",
    "GRADUATION",
    "REASONS",
    "RECORDS",
    "TIMELINE_OPENED",
]

BRIDGES = tuple(points.around(poison.around(bridge)) for bridge in OURS)

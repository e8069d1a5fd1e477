"""What the story asks of the steps above it, through the functions that config/loop.py hands down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings

from ..models import User

Record = Callable[[str], dict[str, Any] | None]


def record(kind: str, record_id: str | None) -> dict[str, Any] | None:
    """What a record is like now; kind is match, pattern, recovery, policy or adjustment. None where there is none."""
    return _records()[kind](record_id) if record_id else None


def came_of(pattern_id: str) -> list[dict[str, Any]]:
    """What came of a kind of failure: ``{id, kind, name, state, at, count}`` of each, as the steps above tell it."""
    tellers = import_module(settings.ANTIBODY_LOOP).CAME_OF_PATTERN
    return [each for tell in tellers for each in tell(pattern_id)]


def reasons(match_id: str | None) -> Any:
    """Why an incident was recognised as what it was, for people; None where it was not, or not yet."""
    return import_module(settings.ANTIBODY_LOOP).REASONS(match_id) if match_id else None


def graduation() -> dict[str, Any]:
    """How far the tenant in scope has graduated, in the words of the API."""
    found: dict[str, Any] = import_module(settings.ANTIBODY_LOOP).GRADUATION()
    return found


def timeline_opened(user: User, incident_id: str) -> None:
    """Say that a signed-in person opened the story of an incident: the third gate counts some of that."""
    import_module(settings.ANTIBODY_LOOP).TIMELINE_OPENED(user, incident_id)


@cache
def _records() -> Mapping[str, Record]:
    table: Mapping[str, Record] = import_module(settings.ANTIBODY_LOOP).RECORDS
    return table

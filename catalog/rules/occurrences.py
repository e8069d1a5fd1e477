"""When a kind of failure occurred, and whether it came back after people had settled it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

__all__ = ["MOST_DAYS", "Day", "Move", "Regression", "by_day", "first_moment", "regression"]

MOST_DAYS = 90


@dataclass(frozen=True, slots=True)
class Day:
    """How often it occurred on one day (UTC)."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class Move:
    """An incident changed its state at a moment: to resolved, or to something that is not."""

    at: datetime
    is_resolved: bool


@dataclass(frozen=True, slots=True)
class Regression:
    """The latest time that a failure came back: its newest incident was resolved, and then there was another one.

    ``is_open`` until the newest incident is resolved again.
    """

    resolved_at: datetime
    came_back_at: datetime
    is_open: bool

    @property
    def after(self) -> timedelta:
        """How long it had stayed away."""
        return self.came_back_at - self.resolved_at


def first_moment(days: int, now: datetime) -> datetime:
    """When the first of so many days began, the last of which is today (UTC)."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def by_day(moments: Iterable[datetime], *, days: int, now: datetime) -> list[Day]:
    """Each of the last days with its count, oldest first; days without an occurrence too."""
    counted = Counter(moment.astimezone(UTC).date() for moment in moments)
    first = first_moment(days, now).date()
    every = (first + timedelta(days=number) for number in range(days))
    return [Day(day, counted[day]) for day in every]


def regression(
    occurred: Sequence[tuple[str, datetime]], moves: Mapping[str, Sequence[Move]]
) -> Regression | None:
    """The latest regression among occurrences (incident, when it came; oldest first); None where there is none.

    ``moves`` are of each incident, oldest first. What counts is how the incident before stood when the next one
    came: opened again since, because the failure was back, it was resolved all the same.
    """
    for (before, _), (_, at) in reversed(list(pairwise(occurred))):
        stood = [move for move in moves.get(before, ()) if move.at <= at]
        if stood and stood[-1].is_resolved:
            return Regression(stood[-1].at, at, is_open=not _is_resolved(occurred[-1][0], moves))
    return None


def _is_resolved(incident: str, moves: Mapping[str, Sequence[Move]]) -> bool:
    made = moves.get(incident, ())
    return bool(made) and made[-1].is_resolved

"""Whom and when a kind of failure hit: read from the newest matches of the pattern, so that its cost never grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Coalesce

from governance.ids import first_id, made_at
from governance.models import LedgerEntry

from ..models import Pattern, PatternMatch
from ..rules.occurrences import Day, Move, Regression, by_day, first_moment, regression

LOOKED_AT = 1_000
"""Newest occurrences that are asked for agents, tools, runs and regressions."""
COUNTED = 10_000
"""Newest occurrences that are put into days."""

MOVES = {"incident.resolved": True, "incident.open": False, "incident.acknowledged": False}


@dataclass(frozen=True, slots=True)
class Affected:
    """Whom the newest occurrences hit: (name, occurrences) most first, how many runs, and the latest regression.

    Without what was simulated. ``is_cut`` says that there were more than were looked at.
    """

    agents: tuple[tuple[str, int], ...]
    tools: tuple[tuple[str, int], ...]
    runs: int
    regression: Regression | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class PerDay:
    """Occurrences by day (UTC), oldest first; ``is_cut`` where the first days are not counted in full."""

    days: tuple[Day, ...]
    is_cut: bool

    @property
    def total(self) -> int:
        return sum(each.count for each in self.days)


def affected_by(pattern: Pattern) -> Affected:
    """Whom a pattern hit: two statements, over the newest LOOKED_AT occurrences."""
    newest = list(
        PatternMatch.objects.of(pattern)
        .order_by("-id")
        .values(
            "incident_id",
            "incident__agent__name",
            "incident__tool",
            "incident__run_id",
            "incident__simulated",
        )[: LOOKED_AT + 1]
    )
    real = [row for row in newest[:LOOKED_AT] if not row["incident__simulated"]]
    return Affected(
        _counted(row["incident__agent__name"] for row in real),
        _counted(row["incident__tool"] for row in real),
        len({row["incident__run_id"] for row in real} - {None}),
        _regression([row["incident_id"] for row in reversed(real)]),
        is_cut=len(newest) > LOOKED_AT,
    )


def per_day(pattern: Pattern, days: int, now: datetime) -> PerDay:
    """How often a pattern occurred on each of the last days (1 to MOST_DAYS), today the last; COUNTED at most."""
    since = first_id("mat", first_moment(days, now))
    newest = PatternMatch.objects.of(pattern).filter(pk__gte=since).order_by("-id")
    # By when it was recognised, not by when a person corrected what it is.
    moments = newest.values_list(Coalesce("corrects__created_at", "created_at"), flat=True)
    found = list(moments[: COUNTED + 1])
    return PerDay(tuple(by_day(found[:COUNTED], days=days, now=now)), is_cut=len(found) > COUNTED)


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(filter(None, names)).most_common())


def _regression(incidents: Sequence[str]) -> Regression | None:
    """Incidents and entries of the ledger are told apart by the clock that both their ids come from."""
    occurred = [(each, made_at(each)) for each in incidents]
    return regression(sorted(occurred, key=lambda pair: pair[1]), _moves(incidents))


def _moves(incidents: Sequence[str]) -> Mapping[str, list[Move]]:
    moves: dict[str, list[Move]] = {}
    entries = LedgerEntry.objects.filter(subject__in=incidents, kind__in=MOVES)
    rows: Iterable[tuple[Any, ...]] = entries.order_by("id").values_list("id", "subject", "kind")
    for entry, subject, kind in rows:
        moves.setdefault(subject, []).append(Move(made_at(entry), MOVES[kind]))
    return moves

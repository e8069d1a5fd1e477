"""The good calls of a tool, kept in memory: what went well stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from governance.database.compiled import compiled
from policies.models import Outcome
from policies.synthesis import Call
from policies.synthesis.drafting import BACKTEST_LIMIT

from .latest import Latest

CALLS_KEPT = 200_000
"""Good calls kept in one process, of all tenants and tools."""

KEPT = Latest[Call](most=BACKTEST_LIMIT, kept=CALLS_KEPT)


def good_calls(tool: str) -> list[Call]:
    """Calls of a tool that went well and would have been allowed, latest first, at most BACKTEST_LIMIT."""
    found = KEPT.read(
        tool,
        ids_since=lambda since: _since(tool, since),
        items=lambda ids: _read(tool, ids),
    )
    return list(reversed(found.values()))


def failed_calls(tool: str) -> int:
    """How many calls of a tool failed since the oldest of its good calls that are kept; counted to BACKTEST_LIMIT."""
    good_ones = KEPT.known(tool)
    failed = Outcome.objects.filter(ok=False, simulated=False, tool=tool)
    is_all = len(good_ones) < BACKTEST_LIMIT
    since = failed if is_all else failed.filter(id__gt=next(iter(good_ones)))
    return since.order_by("-id")[:BACKTEST_LIMIT].count()


def forget() -> None:
    """Keep nothing, as in a process that has just started."""
    KEPT.forget()


def good() -> QuerySet[Outcome]:
    """Calls that went well and would have been allowed: what a bypass let through speaks for no exception."""
    return Outcome.objects.filter(ok=True, simulated=False, overridden=False)


@compiled
def _since(tool: str, since: str) -> QuerySet[Outcome, str]:
    latest = good().filter(tool=tool, id__gt=since).order_by("-id")
    return latest.values_list("id", flat=True)[:BACKTEST_LIMIT]


def _read(tool: str, ids: Sequence[str]) -> dict[str, Call]:
    return {
        id: Call(tool, arguments, run_id, kind, run=run, agent=agent, decision=decision)
        for id, decision, arguments, run_id, run, agent, kind in _called(ids)
    }


_CALLED = ("id", "arguments", "run_id", "run__name", "agent__name", "kind")


@compiled
def _called(ids: Sequence[str]) -> QuerySet[Outcome, tuple[Any, ...]]:
    of_decisions = (f"decision__{each}" for each in _CALLED)
    return Outcome.objects.filter(id__any=ids).order_by().values_list("id", *of_decisions)

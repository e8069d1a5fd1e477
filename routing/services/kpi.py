"""What an adjustment is judged by: the share of an agent's calls of a capability that succeed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from governance.actors import CLOCK
from governance.database.compiled import compiled
from governance.models import FailureState
from governance.states import IllegalMove, Stale
from policies.models import Outcome

from ..models import Adjustment
from ..rules import KPI_MIN_OUTCOMES, kpi_regressed
from .ending import roll_back

BASELINE_DAYS = timedelta(days=30)


def baseline(agent_id: str, capability: str) -> float | None:
    """The success rate of the last 30 days, 0 to 1, which an adjustment must not make worse; None on fewer than 20 real outcomes."""
    for every, good in _lately(agent_id, capability):
        return good / every if every >= KPI_MIN_OUTCOMES else None
    return None


@compiled
def _lately(agent_id: str, capability: str) -> QuerySet[Outcome, tuple[int, int]]:
    """None, or how many there were and how many of them went well."""
    outcomes = _outcomes().filter(
        agent_id=agent_id, tool=capability, created_at__gte=Now() - BASELINE_DAYS
    )
    counted = outcomes.values("agent_id").annotate(
        every=Count("pk"), good=Count("pk", filter=Q(ok=True))
    )
    return counted.values_list("every", "good")


def check_kpis() -> int:
    """Roll back the open adjustments under which the success rate fell by 10 % of its baseline; how many."""
    judged = Adjustment.objects.open().filter(kpi_baseline__isnull=False)
    measured: Iterable[Any] = judged.select_related("agent", "policy").annotate(
        outcomes=_tally(_since_its_start()), successes=_tally(_since_its_start().filter(ok=True))
    )
    return sum(
        _roll_back_regressed(adjustment, adjustment.successes, adjustment.outcomes)
        for adjustment in measured
    )


def _roll_back_regressed(adjustment: Adjustment, successes: int, outcomes: int) -> bool:
    before = adjustment.kpi_baseline
    if before is None or not kpi_regressed(before, successes, outcomes):
        return False
    try:
        roll_back(
            adjustment,
            actor=CLOCK,
            reason=f"the success rate fell from {before:.0%} to {successes / outcomes:.0%}",
            failure_state=FailureState.ROUTING_KPI_REGRESSION,
        )
    except (IllegalMove, Stale):
        return False
    return True


def _outcomes() -> QuerySet[Outcome]:
    # What only a bypass let through says nothing about how the agent does when it is governed.
    return Outcome.objects.filter(simulated=False, overridden=False).order_by()


def _since_its_start() -> QuerySet[Outcome]:
    return _outcomes().filter(
        agent_id=OuterRef("agent_id"),
        tool=OuterRef("capability"),
        created_at__gte=OuterRef("started_at"),
    )


def _tally(outcomes: QuerySet[Outcome]) -> Coalesce:
    """The number of these outcomes as a subquery: grouped, because a bare count would need no row."""
    counted = outcomes.values("agent_id").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)

"""Statistics, read from the story's own events, beside what we aim for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now

from ..database.scoped import IN_SCOPE
from ..models import LoopEvent, LoopStep, Stage

MOST_HOURS = 24 * 90
# Ends in which a person said no: they say nothing about how well the loop works.
DECIDED_BY_PEOPLE = (
    "match_silenced",
    "recovery_rejected",
    "policy_rejected",
    "human_checkpoint_rejected",
)


def stats(hours: int = 24) -> dict[str, Any]:
    """The figures of the last hours (1 to 2160) of the tenant in scope, simulated ones left out, and the targets."""
    since = Now() - timedelta(hours=hours)
    told = dict(
        LoopEvent.objects.filter(created_at__gte=since, simulated=False)
        .order_by()
        .values_list("type")
        .annotate(Count("id"))
    )
    counted = _counted(hours)
    loops = _loops(hours)
    figures = {
        "hours": hours,
        "total_incidents": told.get("incident_created", 0),
        "patterns_matched": counted["matched"],
        "patterns_created": counted["created"],
        "recoveries_suggested": LoopStep.objects.filter(
            stage=Stage.RECOVERY_SUGGESTED, created_at__gte=since, output__has_key="recovery_id"
        ).count(),
        "recoveries_applied": told.get("recovery_applied", 0),
        "policies_generated": told.get("policy_born", 0),
        "routing_adjustments": counted["adjusted"],
        "preventions": told.get("prevention", 0),
        "regrets": told.get("regret", 0),
        "avg_loop_completion_time_ms": loops["avg_ms"],
        "loop_completion_rate": _share(loops["complete"], loops["ended"]),
        "loops": {
            name: loops[name]
            for name in ("running", "waiting", "complete", "stopped", "dead", "reverted")
        },
    }
    return {**figures, "targets": _targets(told, counted, loops)}


def _targets(
    told: dict[str, int], counted: dict[str, int], loops: dict[str, Any]
) -> list[dict[str, Any]]:
    matched, created = counted["matched"], counted["created"]
    active, retired = told.get("policy_active", 0), told.get("policy_retired", 0)
    return [
        _above("matched", "Failures recognised", 0.60, _share(matched, matched + created)),
        _above("completion", "Loops completed", 0.85, _share(loops["complete"], loops["ended"])),
        _below("latency", "Incident to routing, p95 (s)", 5.0, loops["p95_s"]),
        _above(
            "policies",
            "Applied recoveries that led to a policy",
            0.70,
            _share(counted["policies"], counted["applied"]),
        ),
        _above(
            "activation",
            "Shadow policies that became active",
            0.70,
            _share(active, active + retired),
        ),
        _above(
            "auto_applied",
            "Automatic recoveries not rolled back",
            0.90,
            _share(counted["automatic"] - counted["taken_back"], counted["automatic"]),
        ),
        _below(
            "kpi",
            "Routing adjustments that made things worse",
            0.05,
            _share(told.get("adjustment_rolled_back", 0), counted["adjusted"]),
        ),
        _at_most("lost", "Events lost", 0, loops["lost"]),
    ]


def _counted(hours: int) -> dict[str, int]:
    """Counts that need a look inside the events."""
    return _one_row(
        """
        SELECT count(*) FILTER (WHERE type = 'pattern_matched' AND NOT (details->>'is_new')::bool) AS matched,
               count(*) FILTER (WHERE type = 'pattern_matched' AND (details->>'is_new')::bool) AS created,
               count(*) FILTER (WHERE type = 'routing_adjusted' AND details ? 'adjustment_id') AS adjusted,
               count(*) FILTER (WHERE type = 'policy_generated') AS policies,
               count(*) FILTER (WHERE type = 'recovery_suggested') AS applied,
               count(*) FILTER (WHERE type = 'recovery_applied' AND (details->>'automatic')::bool) AS automatic,
               count(*) FILTER (WHERE type = 'recovery_rolled_back' AND (details->>'automatic')::bool) AS taken_back
          FROM governance_loopevent
         WHERE type IN ('pattern_matched', 'routing_adjusted', 'policy_generated', 'recovery_suggested',
                        'recovery_applied', 'recovery_rolled_back')
           AND created_at >= now() - make_interval(hours => %s) AND NOT simulated AND tenant_id = %s
        """,
        hours,
        IN_SCOPE,
    )


def _loops(hours: int) -> dict[str, Any]:
    found: dict[str, Any] = _one_row(
        """
        SELECT count(*) FILTER (WHERE state = 'running') AS running,
               count(*) FILTER (WHERE state = 'waiting') AS waiting,
               count(*) FILTER (WHERE state = 'complete') AS complete,
               count(*) FILTER (WHERE state = 'stopped') AS stopped,
               count(*) FILTER (WHERE state = 'dead') AS dead,
               count(*) FILTER (WHERE state = 'reverted') AS reverted,
               count(*) FILTER (WHERE state IN ('complete', 'dead')
                                   OR state = 'stopped' AND failure_state <> ALL(%s)) AS ended,
               round(1000 * extract(epoch FROM avg(ended_at - started_at)
                     FILTER (WHERE state = 'complete')))::bigint AS avg_ms,
               (extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY ended_at - started_at)
                     FILTER (WHERE state = 'complete' AND NOT waited)))::float8 AS p95_s,
               -- A running loop always has a step that somebody holds or may take.
               count(*) FILTER (WHERE state = 'running' AND NOT EXISTS (
                   SELECT FROM governance_loopstep step
                    WHERE step.trace_id = trace.id AND step.tenant_id = trace.tenant_id
                      AND step.state IN ('ready', 'running'))) AS lost
          FROM governance_looptrace trace
         WHERE started_at >= now() - make_interval(hours => %s) AND NOT simulated AND tenant_id = %s
        """,
        list(DECIDED_BY_PEOPLE),
        hours,
        IN_SCOPE,
    )
    return found


def _one_row(sql: str, *params: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
        return dict(zip([column.name for column in cursor.description], row, strict=True))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _target(
    key: str, name: str, target: str, value: float | None, *, met: bool | None
) -> dict[str, Any]:
    return {"key": key, "name": name, "target": target, "value": value, "met": met}


def _above(key: str, name: str, limit: float, value: float | None) -> dict[str, Any]:
    return _target(key, name, f"> {limit:.0%}", value, met=None if value is None else value > limit)


def _below(key: str, name: str, limit: float, value: float | None) -> dict[str, Any]:
    return _target(key, name, f"< {limit:g}", value, met=None if value is None else value < limit)


def _at_most(key: str, name: str, limit: int, value: int) -> dict[str, Any]:
    return _target(key, name, f"= {limit}", value, met=value <= limit)

"""``bench loop --growth``: what a loop costs beside 1,000 and beside 100,000 stored incidents and calls.

History is copied, not invented: the whole story of a loop that the product has just made, and of a call that the
guard has just allowed, is written again and again in the database under new ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, models

from catalog.models import PatternMatch
from governance.database.fields import TenantForeignKey
from governance.database.tenancy import tenant_scope
from governance.models import LedgerEntry, LoopEvent, LoopStep, LoopTrace, Tenant
from incidents.models import Incident
from policies.models import Decision, Evidence, Outcome
from recovery.models import Recovery
from routing.models import AdjustmentEvidence

from . import scene
from .loops import Say, ours
from .race import Lap, Observer, run_round

SIZES = (1_000, 100_000)
WANTED = 1.2
ROUNDS = 3
PER_STATEMENT = 10_000


def measure(tenant: Tenant, *, loops: int, say: Say) -> dict[str, Any]:
    """The cost of a loop at both sizes and their ratio: CPU where the server's can be seen, else time."""
    stored, costs = 0, {}
    originals = _originals(tenant)
    with Observer(tenant.id) as observer:
        for size in SIZES:
            _copy_history(tenant, originals, first=stored, count=size - stored)
            stored = size
            laps = [
                run_round(ours(tenant), observer, warm=max(20, loops // 10), loops=loops)
                for _ in range(ROUNDS)
            ]
            costs[size] = _cheapest(laps)
            say(f"{size:>7} stored: {costs[size]}")
    small, large = (costs[size] for size in SIZES)
    ratios = {name: round(large[name] / small[name], 3) for name in small}
    decisive = ratios.get("cpu_ms", ratios["ms"])
    return {
        "loops": loops,
        "cost_per_loop": {str(size): cost for size, cost in costs.items()},
        "ratios": ratios,
        "wanted": WANTED,
        "failed": ["growth"] if decisive > WANTED else [],
    }


def _cheapest(laps: Iterable[Lap]) -> dict[str, float]:
    """The least of each: what else runs on the machine only ever adds."""
    laps = list(laps)
    seen = [lap for lap in laps if lap.postgres_cpu is not None]
    costs = {"ms": [lap.seconds for lap in laps], "worker_cpu_ms": [lap.worker_cpu for lap in laps]}
    if seen:
        costs["postgres_cpu_ms"] = [lap.postgres_cpu or 0.0 for lap in seen]
        costs["cpu_ms"] = [lap.worker_cpu + (lap.postgres_cpu or 0.0) for lap in seen]
    return {name: round(1_000 * min(each) / laps[0].loops, 3) for name, each in costs.items()}


Originals = Mapping[type[models.Model], list[str]]


def _originals(tenant: Tenant) -> Originals:
    """The rows to copy, by model: the newest complete story and an allowed call."""
    with tenant_scope(tenant.id):
        trace = LoopTrace.objects.filter(state=LoopTrace.State.COMPLETE).latest("started_at")
        return {**_story(trace), **_call(scene.make_call())}


def _copy_history(tenant: Tenant, originals: Originals, *, first: int, count: int) -> None:
    """Write ``count`` copies, numbered from ``first``."""
    for start in range(first, first + count, PER_STATEMENT):
        numbers = (start, min(start + PER_STATEMENT, first + count) - 1)
        with tenant_scope(tenant.id):
            for model, ids in originals.items():
                _copy(model, ids, numbers, copied=set(originals))


def _story(trace: LoopTrace) -> Originals:
    """The rows of one loop by model; a row comes after those it points at."""
    incident = {"incident_id": trace.incident_id}
    found: dict[type[models.Model], models.QuerySet[Any]] = {
        Incident: Incident.objects.filter(id=trace.incident_id),
        LoopTrace: LoopTrace.objects.filter(id=trace.id),
        LoopStep: LoopStep.objects.filter(trace=trace),
        LoopEvent: LoopEvent.objects.filter(trace=trace),
        LedgerEntry: LedgerEntry.objects.filter(subject=trace.id),
        PatternMatch: PatternMatch.objects.filter(**incident),
        Recovery: Recovery.objects.filter(match__incident_id=trace.incident_id),
        Evidence: Evidence.objects.filter(**incident),
        AdjustmentEvidence: AdjustmentEvidence.objects.filter(**incident),
    }
    return {model: list(rows.values_list("id", flat=True)) for model, rows in found.items()}


def _call(decision: Decision) -> Originals:
    outcomes = Outcome.objects.filter(decision=decision)
    return {Decision: [decision.id], Outcome: list(outcomes.values_list("id", flat=True))}


def _copy(
    model: type[models.Model],
    ids: list[str],
    numbers: tuple[int, int],
    *,
    copied: set[type[models.Model]],
) -> None:
    """Copies of rows: their ids, and references to other copied rows, get the copy's number at the end."""
    columns = {
        str(field.column): "source.{0} || lpad(n::text, 6, '0')"
        if _is_renamed(field, copied)
        else "source.{0}"
        for field in model._meta.concrete_fields
        # The database numbers events itself.
        if not field.generated and field.column != "seq"
    }
    names = [connection.ops.quote_name(column) for column in columns]
    values = [value.format(name) for value, name in zip(columns.values(), names, strict=True)]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"  # noqa: S608 - names of models
            f" FROM {table} source, generate_series(%s::integer, %s::integer) n WHERE source.id = ANY(%s)",
            [*numbers, ids],
        )


def _is_renamed(field: models.Field[Any, Any], copied: set[type[models.Model]]) -> bool:
    if isinstance(field, TenantForeignKey):
        return field.related_model in copied
    # A trace keeps its incident's id without a foreign key; a source key names one incident.
    return field.primary_key or field.column in {"incident_id", "source_key"}
